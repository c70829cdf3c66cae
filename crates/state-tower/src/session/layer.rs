//! The layer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use state_core::session::Sessions;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    InvalidCookie, RequestSession, SessionCookie,
    request::{Ending, Trouble},
};
use crate::problem::problem;

struct Settings {
    sessions: Sessions,
    cookie: SessionCookie,
}

/// Gives requests their [`RequestSession`], by a cookie. A clone is a handle to the same.
///
/// It reads nothing by itself: requests that do not ask for their session cost no round trip, and
/// do not count as use of it. Changes are stored when the inner service has answered, whatever it
/// answered, before the first byte of the answer is sent; when it fails without an answer, or the
/// call is dropped, so are they.
///
/// An id that the server did not make, or that opens nothing any more, is never taken over: what
/// is begun gets an id of its own, and a login gets a new one in any case. The cookie is set when
/// the id is new and removed when the request ended the session, and on no other answer. One that
/// was ended elsewhere may have been so by a login, whose answer has a new cookie and may be there
/// first.
///
/// | What happened | Answer, instead of that of the inner service | Unless that is |
/// |---|---|---|
/// | The backend failed in a call of the handler | 503 | 5xx |
/// | Changes were not stored, or nobody knows | 503 | 4xx or 5xx |
/// | Changes cannot be stored: too large together with those of others | 500 | 4xx or 5xx |
/// | The session was ended while the request was handled, and there are changes | 401 | 4xx or 5xx |
#[derive(Clone)]
pub struct SessionLayer(Arc<Settings>);

impl SessionLayer {
    /// Sessions by the cookie `id`, for encrypted connections.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        let cookie = SessionCookie::new();
        Self(Arc::new(Settings { sessions, cookie }))
    }

    /// Sessions by another cookie.
    ///
    /// # Errors
    ///
    /// [`InvalidCookie`] when it cannot work.
    pub fn with_cookie(sessions: Sessions, cookie: SessionCookie) -> Result<Self, InvalidCookie> {
        cookie.validate()?;
        Ok(Self(Arc::new(Settings { sessions, cookie })))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("cookie", &self.0.cookie)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            layer: self.clone(),
            inner,
        }
    }
}

/// A service whose requests have sessions.
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    layer: SessionLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: From<String> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready is the one to call.
        let spare = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, spare);
        let layer = self.layer.clone();
        Box::pin(async move {
            let settings = &layer.0;
            let sent = settings.cookie.read(request.headers());
            hide_cookies(&mut request);
            let session = RequestSession::new(settings.sessions.clone(), sent);
            request.extensions_mut().insert(session.clone());
            let response = inner.call(request).await?;
            let ending = session.finish().await;
            Ok(settings.answer(response, &ending))
        })
    }
}

impl Settings {
    fn answer<R: From<String>>(&self, mut response: Response<R>, ending: &Ending) -> Response<R> {
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        match ending.trouble {
            // What the handler made of a failure may be wrong: that nobody is logged in, say.
            Some(Trouble::Failed) if !status.is_server_error() => response = unavailable(),
            Some(Trouble::NotStored) if !is_error => response = unavailable(),
            Some(Trouble::Unfit) if !is_error => {
                response = problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal Server Error",
                    "The session cannot be stored.",
                );
            }
            Some(Trouble::Lost) if !is_error => {
                response = problem(
                    StatusCode::UNAUTHORIZED,
                    "Unauthorized",
                    "The session was ended. Log in again.",
                );
            }
            _ => {}
        }
        let headers = response.headers_mut();
        if let Some(field) = ending.id.as_ref().and_then(|id| self.cookie.set(id)) {
            headers.append(header::SET_COOKIE, field);
            // Whoever keeps answers for others must not keep this one.
            let nowhere = HeaderValue::from_static("no-store");
            headers.insert(header::CACHE_CONTROL, nowhere);
        } else if ending.is_removed
            && let Some(field) = self.cookie.remove()
        {
            headers.append(header::SET_COOKIE, field);
        }
        response
    }
}

fn unavailable<R: From<String>>() -> Response<R> {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "Service Unavailable",
        "Sessions do not work now. Repeat the call later.",
    )
}

/// Whoever prints the request does not print its cookies.
fn hide_cookies<B>(request: &mut Request<B>) {
    if let header::Entry::Occupied(mut cookies) = request.headers_mut().entry(header::COOKIE) {
        for value in cookies.iter_mut() {
            value.set_sensitive(true);
        }
    }
}
