//! The function that is asked over HTTP: a request of the service becomes one of the pages or a call of the API, the
//! answer goes back.

use std::sync::Arc;

use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Context, LambdaEvent, Request, RequestExt, Service};
use pennypost_admin::Administration;
use pennypost_api::{Api, Client, Outgoing, Rest, Settings};
use pennypost_directory::{Directory, SignInLog};
use pennypost_housekeep::KeptMail;
use pennypost_mailstore::Mailstore;
use pennypost_runtime_lambda::{Finished, Function, Invocation, InvocationError};
use serde::Serialize;
use serde_json::Value;
use tower::ServiceExt;

use crate::assemble::{equipped, secrets};
use crate::{FunctionError, Ports};

const HOSTNAME: &str = "PENNYPOST_HOSTNAME";
const IMAPS: &str = "PENNYPOST_PUBLIC_IMAPS";
const POP3S: &str = "PENNYPOST_PUBLIC_POP3S";
const OUTGOING: &str = "PENNYPOST_OUTGOING";
const SITES: &str = "PENNYPOST_SITES";

/// The function.
pub struct ApiFunction {
    pages: Api,
    rest: Rest,
    record: Arc<SignInLog>,
}

/// What its line in the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// The status of the answer.
    pub status: u64,
}

/// The function over its ports.
///
/// # Errors
/// [`FunctionError::NoPort`].
pub fn api_function(ports: &Ports, settings: Settings) -> Result<ApiFunction, FunctionError> {
    let (clock, ids) = (Arc::clone(&ports.clock), Arc::clone(&ports.ids));
    let control = Arc::clone(&ports.control);
    let record = SignInLog::new(Arc::clone(&ports.log), Arc::clone(&clock), Arc::clone(&ids));
    let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids))
        .recording(Arc::clone(&record));
    let directory = match secrets()? {
        Some(secrets) => directory.sealing(secrets),
        None => directory,
    };
    let sites = settings.sites.clone();
    let pages = Api::new(directory.clone(), settings);
    let store = Mailstore::new(ports.journal()?, ports.objects()?, Arc::clone(&clock), Arc::clone(&ids));
    let administration = Administration::new(directory, Arc::clone(&control), Arc::clone(&clock), ids)
        .with_tasks(ports.objects()?, Arc::clone(&ports.queue))
        .upon_mail(Arc::new(KeptMail::new(store, Arc::clone(&control))))
        .reading(Arc::clone(&ports.log));
    let administration = equipped(administration)?;
    Ok(ApiFunction { pages, rest: Rest::new(administration, control, clock).with_sites(sites), record })
}

/// What the environment says of the servers that programs are told: `PENNYPOST_HOSTNAME`, the ports of the adapter as the
/// world reaches them (`PENNYPOST_PUBLIC_IMAPS`, 993, and `PENNYPOST_PUBLIC_POP3S`, 995; 0 for what is not offered), and a
/// server for sending (`PENNYPOST_OUTGOING`, NAME:PORT), if there is one; and places with hosts of their own
/// (`PENNYPOST_SITES`, a list in JSON).
///
/// # Errors
/// [`FunctionError::Environment`].
pub fn api_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, FunctionError> {
    let given = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let wrong = |name, cause: String| FunctionError::Environment { name, cause };
    let host = given(HOSTNAME)
        .ok_or_else(|| wrong(HOSTNAME, "not set: programs are told this name of the adapter".to_owned()))?;
    let port = |name, default: u16| match given(name) {
        None => Ok(Some(default)),
        Some(text) => match text.trim().parse::<u16>() {
            Ok(port) => Ok(Some(port)),
            Err(error) => Err(wrong(name, error.to_string())),
        },
    };
    let outgoing = given(OUTGOING).map(|text| text.parse::<Outgoing>()).transpose();
    let outgoing = outgoing.map_err(|error| wrong(OUTGOING, error.to_string()))?;
    let settings = Settings::new(&host, port(IMAPS, 993)?, port(POP3S, 995)?, outgoing);
    let settings = settings.map_err(|error| wrong(HOSTNAME, error.to_string()))?;
    let sites = given(SITES).map(|text| serde_json::from_str(&text)).transpose();
    let sites = sites.map_err(|error| wrong(SITES, error.to_string()))?;
    Ok(settings.with_sites(sites.unwrap_or_default()))
}

/// The service says from where a request came; whatever the request says of it itself counts for nothing.
fn from_its_client(mut request: Request) -> Request {
    let client = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    };
    if let Some(client) = client.and_then(|address| address.parse().ok()) {
        request.extensions_mut().insert(Client(client));
    }
    request
}

impl Function for ApiFunction {
    type Event = LambdaRequest;
    type Answer = Value;
    type Done = Answered;

    async fn invoke(
        &self,
        event: LambdaRequest,
        _invocation: Invocation,
    ) -> Result<Finished<Value, Answered>, InvocationError> {
        // The adapter is not held while the answer is awaited: it can't be sent between threads.
        let answering = {
            let pages = pennypost_api::router(self.pages.clone(), self.rest.clone());
            let mut pages = Adapter::from(pages.map_request(from_its_client));
            pages.call(LambdaEvent::new(event, Context::default()))
        };
        let answer = answering.await;
        // Nothing goes on in a function once it has answered. Without a sign-in there is nothing to write.
        self.record.finish().await;
        let failed = |error: &dyn std::fmt::Display| InvocationError::Failed(error.to_string());
        let answer = answer.map_err(|error| failed(&error))?;
        let answer = serde_json::to_value(answer).map_err(|error| failed(&error))?;
        let status = answer["statusCode"].as_u64().unwrap_or_default();
        Ok(Finished { answer, done: Answered { status }, units: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Settings, FunctionError> {
        api_settings(|wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn ports_are_the_usual_ones_unless_they_are_given() {
        let host = (HOSTNAME, "mx.acme.example");
        let settings = of(&[host]).expect("settings");
        assert_eq!((settings.imaps, settings.pop3s, settings.outgoing), (Some(993), Some(995), None));
        let settings = of(&[host, (IMAPS, "1993"), (POP3S, "0"), (OUTGOING, "smtp.example.net:465")]);
        let settings = settings.expect("settings");
        assert_eq!((settings.imaps, settings.pop3s), (Some(1993), None));
        assert_eq!(settings.outgoing.map(|server| server.port), Some(465));
        for (variables, name) in [
            (&[][..], HOSTNAME),
            (&[(HOSTNAME, "mx acme")], HOSTNAME),
            (&[host, (IMAPS, "imaps")], IMAPS),
            (&[host, (OUTGOING, "smtp.example.net")], OUTGOING),
        ] {
            let error = of(variables).expect_err(name).to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
