//! The functions of the cloud. No handler: handlers are put together here, since none imports another.
//!
//! Owns: which ports a function builds, which follows from [`pennypost_runtime::needs`]; how handlers are joined, by
//! `PENNYPOST_FUSE` in the environment; the settings of a function. Each binary in `src/bin` is one function.
//!
//! Invariants: a function builds no port that its needs do not name, since its permissions are made from the same list;
//! ports are built once for a process, and connect when they are first used. Everything else is in
//! [`pennypost_runtime_lambda`] and in the handlers.

mod assemble;
mod environment;
mod http;
mod lighten;
mod ports;
mod start;
mod tick;

pub use assemble::{handlers, queue_function, tick_function};
pub use environment::Environment;
pub use http::{Answered, ApiFunction, api_function, api_settings};
pub use ports::{Ports, RawMail, takeover};
pub use start::{serve_api, serve_queue, serve_schedule};
pub use tick::{Tick, TickFunction};

/// Why a function can't start.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// A variable of the environment has a value that it can't have.
    #[error("{name}: {cause}")]
    Environment {
        /// Which variable.
        name: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// A handler wants a port that the function's needs do not name.
    #[error("{function} needs the {port} port, which is not in its list")]
    NoPort {
        /// The function.
        function: &'static str,
        /// The port.
        port: &'static str,
    },
    /// There is no such function.
    #[error("no function works the queue {queue}: a server does")]
    NoFunction {
        /// The queue.
        queue: &'static str,
    },
    /// The services can't be used.
    #[error(transparent)]
    Services(#[from] pennypost_backend_aws::Error),
    /// The runtime interface can't be spoken to.
    #[error("the runtime interface: {0}")]
    Runtime(String),
}
