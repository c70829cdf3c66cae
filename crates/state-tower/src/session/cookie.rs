//! The cookie that carries the id of a session.

use std::str;

use cookie::{
    Cookie,
    time::{Duration, OffsetDateTime},
};
use http::{HeaderMap, HeaderValue, header};
use state_core::session::SessionId;

/// To which requests from other sites a browser adds the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// To none.
    Strict,
    /// To those that open a page.
    #[default]
    Lax,
    /// To all. Only for cookies that are secure.
    None,
}

/// A cookie that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct InvalidCookie {
    option: &'static str,
    rule: &'static str,
}

impl InvalidCookie {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "session.invalid_cookie"
    }

    /// The setting.
    #[must_use]
    pub const fn option(self) -> &'static str {
        self.option
    }

    /// What it has to be.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        self.rule
    }
}

/// Name and attributes of the cookie.
///
/// It has no time of its own: a browser keeps it until it is closed, and how long the session
/// lives is for the backend to say. A name that begins with `__Host-` keeps other hosts of the
/// domain from setting it.
///
/// ```
/// use state_tower::SessionCookie;
///
/// let cookie = SessionCookie::new().name("__Host-id");
/// assert!(cookie.validate().is_ok());
/// // Such a cookie is for one host.
/// assert!(cookie.domain("example.com").validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    name: String,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    path: String,
    domain: Option<String>,
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "id".to_owned(),
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            path: "/".to_owned(),
            domain: None,
        }
    }
}

impl SessionCookie {
    /// `id=...; HttpOnly; SameSite=Lax; Secure; Path=/`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same, sent over encrypted connections only, or over all.
    #[must_use]
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// The same, hidden from scripts or not.
    #[must_use]
    pub const fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// The same for these requests of other sites.
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// The same for what is below this path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The same for all hosts of a domain.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`InvalidCookie`] with the first setting that cannot work.
    pub fn validate(&self) -> Result<(), InvalidCookie> {
        let starts_with = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let is_host = starts_with("__Host-");
        let must_be_secure =
            is_host || starts_with("__Secure-") || self.same_site == SameSite::None;
        let is_domain = |domain: &String| {
            !domain.is_empty()
                && domain
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        let rules = [
            (
                "name",
                !self.name.is_empty() && self.name.bytes().all(is_token),
                "a token of RFC 9110",
            ),
            (
                "path",
                self.path.starts_with('/')
                    && self
                        .path
                        .bytes()
                        .all(|byte| matches!(byte, b' '..=b'~') && byte != b';'),
                "begins with a slash and has printable characters other than the semicolon",
            ),
            (
                "domain",
                self.domain.as_ref().is_none_or(is_domain),
                "letters, digits, dots and hyphens",
            ),
            (
                "secure",
                self.secure || !must_be_secure,
                "true for SameSite=None and for the prefixes __Secure- and __Host-",
            ),
            (
                "path",
                !is_host || self.path == "/",
                "a slash for the prefix __Host-",
            ),
            (
                "domain",
                !is_host || self.domain.is_none(),
                "none for the prefix __Host-",
            ),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map_or(Ok(()), |(option, _, rule)| {
                Err(InvalidCookie { option, rule })
            })
    }

    /// What a request carries. Of several cookies with the name the first that has the form of an
    /// id counts, whether it opens something or not.
    pub(super) fn read(&self, headers: &HeaderMap) -> Sent {
        let mut sent = Sent::default();
        for header in headers.get_all(header::COOKIE) {
            // Piece by piece: what is no text is somebody else's, and does not hide ours.
            for piece in header.as_bytes().split(|byte| *byte == b';') {
                let Some(cookie) = str::from_utf8(piece)
                    .ok()
                    .and_then(|piece| Cookie::parse(piece).ok())
                    .filter(|cookie| cookie.name() == self.name)
                else {
                    continue;
                };
                sent.is_there = true;
                if sent.id.is_none() {
                    sent.id = SessionId::parse(cookie.value());
                }
            }
        }
        sent
    }

    /// The field that gives an id to the client.
    pub(super) fn set(&self, id: &SessionId) -> Option<HeaderValue> {
        field(&self.with(&id.expose()))
    }

    /// The field that takes the cookie away from the client.
    pub(super) fn remove(&self) -> Option<HeaderValue> {
        let mut cookie = self.with("");
        cookie.set_max_age(Duration::ZERO);
        cookie.set_expires(OffsetDateTime::UNIX_EPOCH);
        field(&cookie)
    }

    fn with<'a>(&'a self, value: &'a str) -> Cookie<'a> {
        let same_site = match self.same_site {
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
        };
        let mut cookie = Cookie::new(self.name.as_str(), value);
        cookie.set_same_site(same_site);
        cookie.set_path(self.path.as_str());
        cookie.set_http_only(self.http_only);
        cookie.set_secure(self.secure);
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.as_str());
        }
        cookie
    }
}

/// What a request carries.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) id: Option<SessionId>,
    /// Whether there is a cookie of the name, id or not.
    pub(super) is_there: bool,
}

fn field(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&cookie.to_string()).ok()?;
    // Whoever prints headers does not print this one.
    value.set_sensitive(true);
    Some(value)
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
