//! Tries the way to the Client System step by step, with the same route, TLS and calls as the service, and tells what
//! each step showed. Nothing here is an actor, and nothing remembers.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use actix_web::web::Bytes;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::{
    certificate::{Witness, certificate_fault},
    route::Route,
    tunnel::Tunnel,
    wire::{Call, NoAnswer, Wire},
};
use crate::{
    clock::Clock,
    domain::{
        connectivity::AUTH,
        link_probe::{BEARABLE_CLOCK_DIFFERENCE, LinkFault, LinkProbe, ProbeStep},
        timestamp::Timestamp,
    },
    settings::ClientSystemSettings,
    upstream::answer::{Answer, HEALTH},
};

/// No step takes longer.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Tries everything up to the first step without which the next ones make no sense. Where the Client System wants to be
/// left alone until later, it is not called.
pub async fn probe(
    settings: &ClientSystemSettings,
    held_until: Option<Timestamp>,
    clock: Clock,
) -> LinkProbe {
    Probe::over(Route::new(settings), settings, clock)
        .run(held_until)
        .await
}

/// A step failed; why is on record.
struct Failed;

struct Probe<'a> {
    settings: &'a ClientSystemSettings,
    clock: Clock,
    route: Route,
    patience: Duration,
    is_encrypted: bool,
    /// Of the Client System; an IPv6 address is in brackets.
    host: String,
    port: u16,
    found: LinkProbe,
}

impl<'a> Probe<'a> {
    fn over(route: Route, settings: &'a ClientSystemSettings, clock: Clock) -> Self {
        let (host, port) = settings.host_and_port();
        Self {
            settings,
            clock,
            route,
            patience: LONGEST_STEP.min(settings.timeout),
            is_encrypted: settings.is_encrypted(),
            host,
            port,
            found: LinkProbe {
                url: settings.api_url.clone(),
                proxy: settings.proxy.as_ref().map(ToString::to_string),
                ..LinkProbe::default()
            },
        }
    }

    async fn run(mut self, held_until: Option<Timestamp>) -> LinkProbe {
        if let Ok(stream) = self.connect().await
            && self.encrypt(stream).await.is_ok()
        {
            self.call(held_until).await;
        }
        self.found
    }

    fn at(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    fn passed(&mut self, name: &'static str, began: Duration, found: String) {
        self.step(name, true, began, found);
    }

    fn failed(&mut self, name: &'static str, began: Duration, fault: LinkFault) -> Failed {
        self.step(name, false, began, fault.finding().what);
        if !self.found.faults.iter().any(|known| known.is_like(&fault)) {
            self.found.faults.push(fault);
        }
        Failed
    }

    fn step(&mut self, name: &'static str, passed: bool, began: Duration, found: String) {
        let took = self.clock.elapsed().saturating_sub(began);
        self.found.steps.push(ProbeStep {
            name,
            passed,
            found,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }

    async fn connect(&mut self) -> Result<TcpStream, Failed> {
        match self.route.tunnel.clone() {
            Some(tunnel) => self.pass_proxy(&tunnel).await,
            None => {
                let addresses = self.resolve().await?;
                self.reach(&addresses).await
            }
        }
    }

    async fn pass_proxy(&mut self, tunnel: &Rc<Tunnel>) -> Result<TcpStream, Failed> {
        let began = self.clock.elapsed();
        match tunnel.open(&self.at()).await {
            Ok(stream) => {
                let proxy = self.found.proxy.clone().unwrap_or_default();
                let found = format!("the proxy {proxy} gives a connection to {}", self.at());
                self.passed("proxy", began, found);
                Ok(stream)
            }
            Err(fault) => {
                let words = fault.to_string();
                Err(self.failed("proxy", began, LinkFault::Proxy { words }))
            }
        }
    }

    async fn resolve(&mut self) -> Result<Vec<SocketAddr>, Failed> {
        let began = self.clock.elapsed();
        let host = self.host.clone();
        let name = host.trim_matches(['[', ']']);
        let looked_up = within(self.patience, tokio::net::lookup_host((name, self.port))).await;
        let words = match looked_up.map(Vec::from_iter) {
            Ok(addresses) if !addresses.is_empty() => {
                let shown: Vec<_> = addresses
                    .iter()
                    .map(|found| found.ip().to_string())
                    .collect();
                self.passed("dns", began, format!("{host} is {}", shown.join(", ")));
                return Ok(addresses);
            }
            Ok(_) => "it has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(self.failed("dns", began, LinkFault::NameUnknown { host, words }))
    }

    async fn reach(&mut self, addresses: &[SocketAddr]) -> Result<TcpStream, Failed> {
        let began = self.clock.elapsed();
        let at = self.at();
        match within(self.patience, TcpStream::connect(addresses)).await {
            Ok(stream) => {
                let peer = stream.peer_addr().map_or(at, |peer| peer.to_string());
                self.passed("tcp", began, format!("{peer} takes connections"));
                Ok(stream)
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err(self.failed("tcp", began, LinkFault::Refused { at }))
            }
            Err(error) => {
                let words = error.to_string();
                Err(self.failed("tcp", began, LinkFault::NoConnection { at, words }))
            }
        }
    }

    async fn encrypt(&mut self, stream: TcpStream) -> Result<(), Failed> {
        if !self.is_encrypted {
            return Ok(());
        }
        let (began, at) = (self.clock.elapsed(), self.at());
        let witness = Witness::new(&self.route);
        let connected = match (
            &witness,
            ServerName::try_from(self.host.trim_matches(['[', ']'])),
        ) {
            (Ok(witness), Ok(name)) => {
                let connected = witness
                    .connector(&self.route)
                    .connect(name.to_owned(), stream);
                within(self.patience, connected).await.map(drop)
            }
            (Err(words), _) => Err(io::Error::other(words.clone())),
            (_, Err(error)) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        };
        self.found.certificate = witness.ok().and_then(|witness| witness.certificate());
        match connected {
            Ok(()) => {
                let until = self
                    .found
                    .certificate
                    .as_ref()
                    .and_then(|found| found.not_after);
                let until = until.map_or_else(String::new, |until| format!(" until {until}"));
                self.passed(
                    "tls",
                    began,
                    format!("the certificate of {at} is good{until}"),
                );
                Ok(())
            }
            Err(error) => {
                let certificate = self.found.certificate.as_ref();
                let fault = certificate_fault(&error, at, certificate, self.now());
                Err(self.failed("tls", began, fault))
            }
        }
    }

    async fn call(&mut self, held_until: Option<Timestamp>) {
        let began = self.clock.elapsed();
        if let Some(until) = held_until.filter(|until| *until > self.now()) {
            let until = Some(until);
            self.failed("health", began, LinkFault::RateLimited { until });
            return;
        }
        let wire = Wire::over(self.route.clone(), self.settings, self.clock.clone());
        let health = Call {
            authenticated: false,
            ..Call::get(HEALTH, self.patience)
        };
        let auth = Call::post(AUTH, Bytes::from_static(b"{}"), self.patience);
        if self.exchange("health", &wire, health).await.is_ok() {
            // Whoever looks ill, or does not answer that, may let callers in all the same: what that shows is worth knowing.
            let _ = self.exchange("auth", &wire, auth).await;
        }
        self.compare_clocks();
    }

    /// Fails only where the Client System wants no more calls.
    async fn exchange(
        &mut self,
        name: &'static str,
        wire: &Wire,
        call: Call,
    ) -> Result<(), Failed> {
        let (began, asked_at, path) = (self.clock.elapsed(), self.now(), call.path);
        let answer = match wire.exchange(call).await {
            Ok((answer, _)) => answer,
            Err(
                NoAnswer::Unreachable(words) | NoAnswer::Broken(words) | NoAnswer::TimedOut(words),
            ) => {
                let _ = self.failed(name, began, LinkFault::NoAnswer { words });
                return Ok(());
            }
        };
        if let Some(theirs) = answer.date {
            // The answer was written somewhere between the question and now.
            let ours = asked_at.0 + (self.now().0 - asked_at.0) / 2;
            let ahead_s = (theirs - ours).num_seconds();
            self.found.clock_ahead_s.get_or_insert(ahead_s);
        }
        match self.fault_of(name, path, &answer) {
            None => {
                let status = answer.status;
                let found = if answer.is_success() {
                    format!("{path} is answered with {status}")
                } else {
                    format!(
                        "{path} is answered, though only to those who show a key ({status}): somebody is there"
                    )
                };
                self.passed(name, began, found);
                Ok(())
            }
            Some(fault) => {
                let leaves_us_out = matches!(fault, LinkFault::RateLimited { .. });
                let failed = self.failed(name, began, fault);
                if leaves_us_out { Err(failed) } else { Ok(()) }
            }
        }
    }

    fn fault_of(&self, name: &str, path: &str, answer: &Answer) -> Option<LinkFault> {
        let (status, words, path) = (answer.status, answer.words(), path.to_owned());
        let wants_a_pause = status == 429 || (status == 503 && answer.retry_after.is_some());
        match status {
            200..=299 if is_in_its_manner(&answer.body) => None,
            // Asked without the key, so that nothing is said of it; and whoever answers is there.
            401 | 403 if name == "health" => None,
            _ if wants_a_pause => Some(LinkFault::RateLimited {
                until: answer
                    .retry_after
                    .map(|pause| Timestamp(self.clock.now() + pause)),
            }),
            401 | 403 => Some(LinkFault::Unauthorized { status, words }),
            500..=599 => Some(LinkFault::ServerFault {
                path,
                status,
                words,
            }),
            _ => Some(LinkFault::Stranger {
                path,
                status,
                words,
            }),
        }
    }

    fn compare_clocks(&mut self) {
        let began = self.clock.elapsed();
        let Some(ahead_s) = self.found.clock_ahead_s else {
            return;
        };
        if ahead_s.abs() <= BEARABLE_CLOCK_DIFFERENCE {
            self.passed(
                "clock",
                began,
                format!("the clocks differ by {} s", ahead_s.abs()),
            );
        } else {
            let now = self.now();
            self.failed("clock", began, LinkFault::ClockDiffers { ahead_s, now });
        }
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_| {
            let words = format!("no answer within {} ms", patience.as_millis());
            Err(io::Error::new(io::ErrorKind::TimedOut, words))
        })
}

/// Whether a success speaks as the Client System does, and not as the page of a network that wants people to log in.
fn is_in_its_manner(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
        || serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|answer| answer.is_object() && answer["success"] != false)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
