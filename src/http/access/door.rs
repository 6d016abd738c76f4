//! The door that every call comes through: its name and its page first, then what it may do.

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{ACCEPT, AUTHORIZATION},
    },
    middleware::Next,
    web::Data,
};

use super::{Access, Refused, need::needed, peer};
use crate::{
    control::Control,
    domain::access::Rejection,
    http::{login, problem::Problem},
};

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// Refuses what was meant for another machine, or what another machine's page asks for, before anything is done.
pub(in crate::http) async fn guard(
    access: Data<Access>,
    control: Data<Control>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Answer<impl MessageBody> {
    let rules = access.rules();
    let (rejection, problem) = if let Some(host) = rules.foreign_host(request.head()) {
        (Rejection::ForeignHost, Problem::foreign_host(&host))
    } else if let Some(origin) = rules.foreign_origin(request.head()) {
        (Rejection::ForeignOrigin, Problem::foreign_origin(&origin))
    } else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    control.note_refused_call(rejection);
    Ok(request
        .into_response(problem.error_response())
        .map_into_right_body())
}

/// Refuses who may not do what is asked for; all others are known from here on as a [`super::Caller`].
pub(in crate::http) async fn admit(
    access: Data<Access>,
    control: Data<Control>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Answer<impl MessageBody> {
    let Some(need) = needed(request.method(), request.path()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    match access.judge(request.request(), need) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(caller.grant);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(refused) => {
            note(&control, &request, refused.rejection);
            let answer = refusal(&request, refused);
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

fn note(control: &Control, request: &ServiceRequest, rejection: Rejection) {
    control.note_refused_call(rejection);
    // Of others there may be any number.
    if rejection == Rejection::WrongToken {
        let from = peer(request.request());
        tracing::warn!(%from, path = request.path(), "a call brought a token that is none of ours");
    }
}

/// A person who is not logged in gets the page for that in the place of what was asked for.
fn refusal(request: &ServiceRequest, refused: Refused) -> HttpResponse {
    let headers = request.headers();
    let is_person = request.method() == Method::GET
        && !headers.contains_key(AUTHORIZATION)
        && headers
            .get(ACCEPT)
            .is_some_and(|accepted| accepted.as_bytes().starts_with(b"text/html"));
    let problem = problem(refused);
    if refused.rejection == Rejection::NoToken && is_person {
        return login::instead(&problem);
    }
    problem.error_response()
}

pub(in crate::http) fn problem(refused: Refused) -> Problem {
    match refused.rejection {
        Rejection::WrongToken => Problem::wrong_token(),
        Rejection::TooManyWrongTokens => Problem::too_many_wrong_tokens(refused.wait),
        Rejection::LooksOnly => Problem::looks_only(),
        _ => Problem::token_needed(),
    }
}
