//! ENABLE (RFC 5161): CONDSTORE and QRESYNC (RFC 7162), IMAP4rev2 (RFC 9051), UTF8=ACCEPT (RFC 6855), UIDONLY
//! (RFC 9586).

use super::Answer;
use crate::imap::response::Reply;
use crate::imap::session::Session;

impl Session {
    /// What is not known is passed over in silence.
    pub(super) fn enable(&mut self, names: &[String]) -> Answer {
        self.live()?;
        let mut modes = self.modes;
        let mut line = "* ENABLED".to_owned();
        let mut tells_modseq = false;
        for name in names {
            let told = match &**name {
                "CONDSTORE" => {
                    tells_modseq = true;
                    " CONDSTORE"
                }
                "QRESYNC" => {
                    (modes.qresync, tells_modseq) = (true, true);
                    " QRESYNC"
                }
                "IMAP4REV2" => {
                    modes.rev2 = true;
                    " IMAP4rev2"
                }
                "UTF8=ACCEPT" => {
                    modes.utf8 = true;
                    " UTF8=ACCEPT"
                }
                "UIDONLY" => {
                    modes.uid_only = true;
                    " UIDONLY"
                }
                _ => continue,
            };
            if !line.contains(told) {
                line.push_str(told);
            }
        }
        self.stream.write(format!("{line}\r\n").as_bytes());
        self.change_modes(modes);
        if tells_modseq {
            self.enable_condstore();
        }
        Ok(Reply::ok("enabled"))
    }
}
