//! A service with sessions in one process.

use std::{
    convert::Infallible,
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, header};
use state_core::{
    Classified, NoObserver, OsEntropy,
    session::{Found, Session, SessionKeys, SessionOptions, Sessions},
};
use state_memory::{Faults, session::MemorySessions};
use state_testkit::VirtualClock;
use state_tower::{RequestSession, RequestSessionError, SessionLayer, SessionService};
use tower_layer::Layer as _;
use tower_service::Service;

const SECRET: &[u8] = b"32 bytes or more, for tests alone";

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

/// A handler made of a function.
#[derive(Debug, Clone)]
pub(crate) struct Handler<F>(pub(crate) F);

impl<F, A> Service<Request<String>> for Handler<F>
where
    F: Fn(RequestSession) -> A,
    A: Future<Output = Response<String>> + Send + 'static,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Answer {
        let session = request.extensions().get::<RequestSession>().unwrap();
        let answer = (self.0)(session.clone());
        Box::pin(async move { Ok(answer.await) })
    }
}

pub(crate) struct Rig {
    pub(crate) clock: VirtualClock,
    pub(crate) faults: Faults,
    pub(crate) store: MemorySessions,
    pub(crate) sessions: Sessions,
    pub(crate) layer: SessionLayer,
}

pub(crate) fn rig() -> Rig {
    rig_with(SessionOptions::default())
}

pub(crate) fn rig_with(options: SessionOptions) -> Rig {
    let (clock, faults) = (VirtualClock::new(), Faults::new());
    let store = MemorySessions::with(options, Arc::new(clock.clone()), faults.clone()).unwrap();
    let sessions = Sessions::observed(
        Arc::new(store.clone()),
        SessionKeys::new(SECRET).unwrap(),
        Arc::new(clock.clone()),
        Arc::new(OsEntropy),
        Arc::new(NoObserver),
    );
    let layer = SessionLayer::new(sessions.clone());
    Rig {
        clock,
        faults,
        store,
        sessions,
        layer,
    }
}

pub(crate) fn oneshot<F, A>(layer: &SessionLayer, cookies: &[&str], handler: F) -> Answer
where
    F: Fn(RequestSession) -> A + Clone + Send + 'static,
    A: Future<Output = Response<String>> + Send + 'static,
{
    let mut request = Request::builder();
    for cookie in cookies {
        request = request.header(header::COOKIE, *cookie);
    }
    let mut service: SessionService<_> = layer.layer(Handler(handler));
    service.call(request.body(String::new()).unwrap())
}

impl Rig {
    /// One request, with the id in the cookie.
    pub(crate) async fn call<F, A>(&self, id: Option<&str>, handler: F) -> Response<String>
    where
        F: Fn(RequestSession) -> A + Clone + Send + 'static,
        A: Future<Output = Response<String>> + Send + 'static,
    {
        let cookie = id.map(|id| format!("id={id}"));
        let cookies: Vec<&str> = cookie.as_deref().into_iter().collect();
        oneshot(&self.layer, &cookies, handler).await.unwrap()
    }

    /// Logs a user in; the id.
    pub(crate) async fn login(&self, id: Option<&str>, user: &'static str) -> String {
        let response = self
            .call(id, move |session| async move {
                session.log_in(user).await.unwrap();
                ok()
            })
            .await;
        new_id(&response)
    }

    pub(crate) async fn user(&self, id: &str) -> Option<String> {
        let response = self.call(Some(id), whoami).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(set_cookies(&response).is_empty());
        let user = response.into_body();
        (!user.is_empty()).then_some(user)
    }

    pub(crate) async fn live(&self, id: &str) -> Session {
        match self.sessions.load(id).await.unwrap() {
            Found::Live(session) => session,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn data(&self, id: &str) -> String {
        let session = self.live(id).await;
        String::from_utf8(session.data.to_vec()).unwrap()
    }
}

pub(crate) fn ok() -> Response<String> {
    Response::new("fine".to_owned())
}

pub(crate) fn status(status: StatusCode) -> Response<String> {
    let mut response = ok();
    *response.status_mut() = status;
    response
}

pub(crate) async fn whoami(session: RequestSession) -> Response<String> {
    Response::new(session.user().await.unwrap().unwrap_or_default())
}

pub(crate) async fn count(session: RequestSession) -> Response<String> {
    let seen: u32 = session.get("seen").await.unwrap().unwrap_or_default();
    session.insert("seen", &(seen + 1)).await.unwrap();
    Response::new(seen.to_string())
}

pub(crate) async fn log_out(session: RequestSession) -> Response<String> {
    Response::new(session.log_out().await.unwrap().to_string())
}

pub(crate) async fn revoke_all(session: RequestSession) -> Response<String> {
    Response::new(session.revoke_all().await.unwrap().to_string())
}

pub(crate) fn set_cookies(response: &Response<String>) -> Vec<&str> {
    let fields = response.headers().get_all(header::SET_COOKIE);
    fields.iter().map(|value| value.to_str().unwrap()).collect()
}

pub(crate) fn new_id(response: &Response<String>) -> String {
    let [cookie] = set_cookies(response)[..] else {
        panic!("{response:?}")
    };
    let id = cookie.strip_prefix("id=").unwrap().split(';').next();
    assert_eq!(id.unwrap().len(), 43, "no id");
    id.unwrap().to_owned()
}

pub(crate) fn is_removed(response: &Response<String>) -> bool {
    let [cookie] = set_cookies(response)[..] else {
        return false;
    };
    cookie.starts_with("id=;") && cookie.contains("Max-Age=0") && cookie.contains("Path=/")
}

pub(crate) fn is_problem(response: &Response<String>, status: StatusCode) -> bool {
    let number = format!(r#""status":{}"#, status.as_u16());
    response.status() == status
        && response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/problem+json")
        && response.body().contains(&number)
}

pub(crate) fn code<T: Debug>(result: Result<T, RequestSessionError>) -> &'static str {
    result.unwrap_err().code()
}
