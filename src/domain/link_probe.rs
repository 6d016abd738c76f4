//! The way to the Client System, tried step by step: what each step showed, and what is wrong.

use std::{fmt, mem};

use serde::Serialize;

use super::{
    finding::Finding,
    timestamp::Timestamp,
    words::{SET_THE_RIGHT_KEY, by_itself_or},
};

/// The clocks may differ by so many seconds before anything suffers.
pub const BEARABLE_CLOCK_DIFFERENCE: i64 = 120;

/// The way to the Client System, tried once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkProbe {
    /// The address of its API.
    pub url: String,
    /// Host and port of the proxy on the way, if any.
    pub proxy: Option<String>,
    /// What was tried, in this order.
    pub steps: Vec<ProbeStep>,
    /// The certificate that the other side showed.
    pub certificate: Option<Certificate>,
    /// Seconds that the Client System's clock is ahead of this machine's; negative where it is behind.
    pub clock_ahead_s: Option<i64>,
    /// What is wrong, that which was met first at the beginning.
    pub faults: Vec<LinkFault>,
}

impl LinkProbe {
    /// Whether calls that show the key are cut off. Whoever answers one of them well is there, however ill the health check looks.
    pub fn is_cut(&self) -> bool {
        let passed = |step: &ProbeStep| step.name == "auth" && step.passed;
        let is_met = self.faults.iter().any(LinkFault::is_about_the_way);
        is_met && !self.steps.iter().any(passed)
    }

    /// Whether this step was tried and did not go well.
    pub fn has_failed(&self, name: &str) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.name == name && !step.passed)
    }

    /// What is wrong, the gravest first: what was met first, but for a key that is not accepted, which no other call mends.
    pub fn faults_by_gravity(&self) -> Vec<&LinkFault> {
        let mut faults: Vec<_> = self.faults.iter().collect();
        faults.sort_by_key(|fault| !matches!(fault, LinkFault::Unauthorized { .. }));
        faults
    }
}

/// One step on the way.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeStep {
    /// What was tried: `dns`, `tcp`, `proxy`, `tls`, `health`, `auth` or `clock`.
    pub name: &'static str,
    /// Whether it went well.
    pub passed: bool,
    /// What was found.
    pub found: String,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Who vouches for it.
    pub issuer: String,
    /// From when it can be used.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
}

/// On one line.
impl fmt::Display for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| at.to_string());
        write!(
            formatter,
            "certificate of {} ({}), by {}, from {} to {}",
            self.subject,
            listed(&self.names),
            self.issuer,
            time(self.not_before),
            time(self.not_after)
        )
    }
}

/// What is wrong on the way to the Client System.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LinkFault {
    /// The name has no address.
    NameUnknown {
        /// The name.
        host: String,
        /// Why.
        words: String,
    },
    /// The machine is there, and nobody listens.
    Refused {
        /// Host and port.
        at: String,
    },
    /// No connection came about for another reason.
    NoConnection {
        /// Host and port.
        at: String,
        /// Why.
        words: String,
    },
    /// The proxy cannot be reached, or gives no connection.
    Proxy {
        /// What happened, what it means and what to do.
        words: String,
    },
    /// The certificate is too old.
    CertificateExpired {
        /// Host and port.
        at: String,
        /// Since when.
        since: Option<Timestamp>,
        /// This machine's time.
        now: Timestamp,
    },
    /// The certificate is for later.
    CertificateNotYetValid {
        /// Host and port.
        at: String,
        /// From when on it can be used.
        from: Option<Timestamp>,
        /// This machine's time.
        now: Timestamp,
    },
    /// The certificate is for another host.
    CertificateForAnother {
        /// Host and port.
        at: String,
        /// Those that it is for.
        names: Vec<String>,
    },
    /// The certificate is for vouching for others, and for no server.
    CertificateOfAuthority {
        /// Host and port.
        at: String,
        /// Whose it is.
        subject: String,
    },
    /// The certificate is none that a server may show.
    CertificateUnfit {
        /// Host and port.
        at: String,
        /// What is wrong with it.
        flaw: &'static str,
        /// What whoever runs the Client System is to do.
        remedy: &'static str,
    },
    /// Nobody who is trusted vouches for the certificate.
    CertificateUntrusted {
        /// Host and port.
        at: String,
        /// Who does.
        issuer: String,
    },
    /// No encrypted connection came about for another reason.
    Tls {
        /// Host and port.
        at: String,
        /// Why.
        words: String,
    },
    /// A connection stood, but no answer came.
    NoAnswer {
        /// Why.
        words: String,
    },
    /// The Client System wants to be left alone.
    RateLimited {
        /// Until when, where it says so.
        until: Option<Timestamp>,
    },
    /// The key is not accepted.
    Unauthorized {
        /// HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The Client System is in trouble itself.
    ServerFault {
        /// The call.
        path: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// What answers does not answer as the Client System does.
    Stranger {
        /// The call.
        path: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The clocks differ.
    ClockDiffers {
        /// Seconds that the Client System's is ahead; negative where it is behind.
        ahead_s: i64,
        /// This machine's time.
        now: Timestamp,
    },
}

const KEPT: &str = "nothing is uploaded meanwhile, and all readings are kept";
/// Who answers one call so may take the others.
const KEPT_WHAT_IS_NOT_TAKEN: &str = "readings that it does not take are kept";

impl LinkFault {
    /// Whether both are one cause, which spoils several calls in the same way and is worth one finding.
    pub fn is_like(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other) && self.status() == other.status()
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { status, .. }
            | Self::ServerFault { status, .. }
            | Self::Stranger { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether it is in the way of calls.
    pub fn is_about_the_way(&self) -> bool {
        !matches!(self, Self::ClockDiffers { .. })
    }

    /// What is wrong, what it means and what to do.
    pub fn finding(&self) -> Finding {
        self.finding_where(true)
    }

    /// The same, where passes start by themselves or only a person starts them.
    pub fn finding_where(&self, automatic: bool) -> Finding {
        let goes_on = by_itself_or(
            automatic,
            "uploading goes on by itself",
            "to upload after that, ",
        );
        match self {
            Self::NameUnknown { host, words } => Finding::new(
                format!("the name {host} cannot be resolved ({words})"),
                format!("this machine's name service is away, or does not know the name; {KEPT}"),
                "check the host in CLIENT_API_URL, then the name service of this machine (/etc/resolv.conf) and its network; \
                 where only a proxy knows the name, set HTTPS_PROXY",
            ),
            Self::Refused { at } => Finding::new(
                format!("{at} refuses connections"),
                format!(
                    "the machine is there, but no Client System listens on that port, or a firewall turns it away; {KEPT}"
                ),
                "check host and port in CLIENT_API_URL, and ask whoever runs the Client System whether it runs",
            ),
            Self::NoConnection { at, words } => Finding::new(
                format!("no connection to {at} comes about ({words})"),
                format!("the network between is cut or a firewall drops what is sent; {KEPT}"),
                "check the network of this machine and the firewall on the way; where only a proxy may go out, set HTTPS_PROXY",
            ),
            Self::Proxy { words } => Finding::new(
                words.clone(),
                format!("the Client System is reached through the proxy only; {KEPT}"),
                "check HTTPS_PROXY, and NO_PROXY if the Client System can be reached without it, with whoever runs the proxy",
            ),
            Self::CertificateExpired { at, since, now } => Finding::new(
                format!(
                    "the certificate of {at} has expired{}",
                    when(" on ", *since)
                ),
                format!(
                    "nobody vouches any more that this is the Client System, so nothing is sent to it; {KEPT}"
                ),
                format!(
                    "have whoever runs the Client System renew its certificate; this machine's clock says {now}: if that is wrong, set it"
                ),
            ),
            Self::CertificateNotYetValid { at, from, now } => Finding::new(
                format!(
                    "the certificate of {at} is not valid yet{}",
                    when(", but from ", *from)
                ),
                format!("this machine's clock is behind, or the certificate is for later; {KEPT}"),
                format!(
                    "this machine's clock says {now}: if that is wrong, set it; else ask whoever runs the Client System for its certificate"
                ),
            ),
            Self::CertificateForAnother { at, names } => Finding::new(
                format!("the certificate of {at} is for {} only", listed(names)),
                format!(
                    "another machine answers than CLIENT_API_URL names, so nothing is sent to it; {KEPT}"
                ),
                "check the host in CLIENT_API_URL, and whether something on the way answers in the Client System's place",
            ),
            Self::CertificateOfAuthority { at, subject } => Finding::new(
                format!(
                    "the certificate of {at} is that of an authority ({subject}), and no server may show such a one"
                ),
                format!(
                    "it is for vouching for others, as one that was signed by itself often is unasked; that this is the Client \
                     System is not certain, so nothing is sent to it; {KEPT}"
                ),
                "have whoever runs the Client System make a certificate for a server (`openssl req -x509` with \
                 `-addext basicConstraints=CA:FALSE`, or signed by an authority), and name the file with it, or with that of the \
                 authority, in CLIENT_CA_FILE",
            ),
            Self::CertificateUnfit { at, flaw, remedy } => Finding::new(
                format!("the certificate of {at} {flaw}"),
                format!(
                    "that this is the Client System is not certain, so nothing is sent to it; {KEPT}"
                ),
                format!("have whoever runs the Client System {remedy}"),
            ),
            Self::CertificateUntrusted { at, issuer } => Finding::new(
                format!(
                    "nobody who is trusted vouches for the certificate of {at}; its issuer is {issuer}"
                ),
                format!(
                    "a private authority has signed it, or something on the way opens the encryption; nothing is sent to it: {KEPT}"
                ),
                "if the authority is your company's own, name the file with its certificate in CLIENT_CA_FILE; if not, have \
                 whoever runs the network leave this connection closed",
            ),
            Self::Tls { at, words } => Finding::new(
                format!("no encrypted connection to {at} comes about ({words})"),
                format!("what listens there speaks no TLS, or none that is safe; {KEPT}"),
                "check scheme and port in CLIENT_API_URL, and what listens there",
            ),
            Self::NoAnswer { words } => Finding::new(
                format!("the Client System does not answer ({words})"),
                format!(
                    "it is overloaded or no Client System, or the network breaks connections; {KEPT}"
                ),
                "try again in some minutes; if it lasts, ask whoever runs the Client System",
            ),
            Self::RateLimited { until } => Finding::new(
                format!(
                    "the Client System limits its callers, and takes no more calls from here for now{}",
                    when("; it wants to be left alone until ", *until)
                ),
                format!("its limit of requests is used up; {KEPT}; then {goes_on}"),
                "wait; if it happens again and again, look for others who call it from the same address, and raise BATCH_SIZE_MAX",
            ),
            Self::Unauthorized { status, words } => Finding::new(
                format!("the Client System does not accept the API key ({status}: {words})"),
                format!("the key is wrong, or was withdrawn; {KEPT}"),
                SET_THE_RIGHT_KEY,
            ),
            Self::ServerFault {
                path,
                status,
                words,
            } => Finding::new(
                format!("the Client System answers {path} with {status} ({words})"),
                format!(
                    "it, or what stands before it, is in trouble itself; {KEPT_WHAT_IS_NOT_TAKEN}, and {goes_on}"
                ),
                "wait; if it lasts, tell whoever runs the Client System",
            ),
            Self::Stranger {
                path,
                status,
                words,
            } => Finding::new(
                format!("{path} is answered with {status} ({words})"),
                format!(
                    "what answers is no Client System, or it is under another path; {KEPT_WHAT_IS_NOT_TAKEN}, and {goes_on}"
                ),
                "check CLIENT_API_URL, which as deployed ends in /api, with whoever runs the Client System",
            ),
            Self::ClockDiffers { ahead_s, now } => {
                let apart = lasting(ahead_s.unsigned_abs());
                let side = if *ahead_s > 0 { "behind" } else { "ahead of" };
                Finding::new(
                    format!("this machine's clock is {apart} {side} that of the Client System"),
                    "times that are written here are wrong by that much, or the Client System's are; if the difference grows, \
                     certificates seem to have expired"
                        .to_owned(),
                    format!(
                        "this machine's clock says {now}: if that is wrong, set it and have it follow a time server \
                         (`timedatectl set-ntp true`); else tell whoever runs the Client System"
                    ),
                )
            }
        }
    }
}

fn when(before: &str, at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!("{before}{at}"))
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no name at all".to_owned(),
        names => names.join(", "),
    }
}

fn lasting(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        (24.., _) => format!("{} d {} h", hours / 24, hours % 24),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_this_machines_side() {
        let now = Timestamp(chrono::DateTime::UNIX_EPOCH);
        let what = |ahead_s| LinkFault::ClockDiffers { ahead_s, now }.finding().what;
        assert_eq!(
            what(601),
            "this machine's clock is 10 min 1 s behind that of the Client System"
        );
        assert_eq!(
            what(-7_260),
            "this machine's clock is 2 h 1 min ahead of that of the Client System"
        );
        assert_eq!(
            what(90_000),
            "this machine's clock is 1 d 1 h behind that of the Client System"
        );
    }
}
