//! Answers that say what is wrong.

use http::{HeaderValue, Response, StatusCode, header};

/// A problem document, as in RFC 9457. The texts have nothing that JSON escapes.
pub(crate) fn problem<R: From<String>>(
    status: StatusCode,
    title: &'static str,
    detail: &'static str,
) -> Response<R> {
    let number = status.as_u16();
    let body = format!(
        r#"{{"type":"about:blank","title":"{title}","status":{number},"detail":"{detail}"}}"#
    );
    let mut response = Response::new(R::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
