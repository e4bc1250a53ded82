//! Options that several measurements share.

use clap::Args;

use crate::corpus::Size;
use crate::wire::Endpoint;

/// The server.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Name or address of the server.
    #[arg(long, default_value = "127.0.0.1", value_name = "HOST")]
    pub host: String,
    /// Its port for the protocol that is measured (without TLS).
    #[arg(long, value_name = "PORT", required_unless_present = "socket")]
    pub port: Option<u16>,
    /// A Unix socket instead of host and port.
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub socket: Option<std::path::PathBuf>,
}

impl Target {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match (&self.socket, self.port) {
            (Some(path), _) => Endpoint::Unix(path.clone()),
            (None, port) => Endpoint::Tcp(self.host.clone(), port.unwrap_or_default()),
        }
    }

    pub(crate) fn at(&self, port: u16) -> Endpoint {
        Endpoint::Tcp(self.host.clone(), port)
    }
}

/// The accounts that are used.
#[derive(Debug, Clone, Args)]
pub struct Users {
    /// Address of the accounts; {} stands for the number of one.
    #[arg(long, default_value = "user{}@bench.test", value_name = "PATTERN")]
    pub user_pattern: String,
    /// How many accounts.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// Number of the first one.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub first_user: u32,
    /// Password of all of them.
    #[arg(
        long,
        env = "PENNYPOST_BENCH_PASSWORD",
        default_value = "",
        hide_env_values = true,
        value_name = "TEXT"
    )]
    pub password: String,
}

impl Users {
    /// The address of the account with this index; indexes beyond the last begin again.
    pub(crate) fn address(&self, index: usize) -> String {
        let number = self.first_user as usize + index % self.users as usize;
        self.user_pattern.replace("{}", &number.to_string())
    }
}

/// The server's processes on this machine.
#[derive(Debug, Clone, Args)]
pub struct Watch {
    /// Measure memory and CPU time of this process and all below it; may be repeated.
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// The same for all processes of this name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub process: Vec<String>,
}

/// The mail that is sent.
#[derive(Debug, Clone, Args)]
pub struct Mail {
    /// Size of the letters: octets, such as 2k, 10k, 100k, or mix (2 KB to 100 KB, mostly small).
    #[arg(long, default_value = "10k", value_name = "SIZE")]
    pub size: Size,
    /// The same seed makes the same letters.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
}
