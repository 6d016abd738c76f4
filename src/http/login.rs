//! `/login` and `/logout`: people show a token once, and have a session from then on. Works without a script.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    cookie::{Cookie, SameSite, time},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER,
            WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    web::{self, Data, Form, FormConfig},
};
use maud::{DOCTYPE, html};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    access::{self, Access},
    problem::Problem,
    routing::{Api, described},
};
use crate::{control::Control, domain::access::Rejection};

/// Everything comes from this service, and the token goes nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// No token is anywhere near as long.
const MOST_BYTES: usize = 8 * 1024;

pub(super) fn routes(api: &mut Api) {
    api.resource_with(
        [
            described::<__path_show>(web::to(show)),
            described::<__path_log_in>(web::to(log_in)),
        ],
        |resource| resource.app_data(FormConfig::default().limit(MOST_BYTES)),
    );
    api.resource([described::<__path_log_out>(web::to(log_out))]);
}

/// What the page for logging in sends.
#[derive(Deserialize, ToSchema)]
struct Login {
    /// One of the two tokens.
    token: String,
}

/// The page on which a person logs in
#[utoipa::path(
    get,
    path = "/login",
    operation_id = "get_login_page",
    tag = "pages",
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 303, description = "No token is set, so that nobody has to log in", headers(("Location", description = "The dashboard"))),
    ),
)]
async fn show(access: Data<Access>) -> HttpResponse {
    if !access.knows_tokens() {
        return see("/");
    }
    page(StatusCode::OK, None)
}

/// Log in
///
/// A right token begins a session: a cookie that scripts and other sites do not get at, good for the pages of this service.
/// It may do what its token may do.
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "log_in",
    tag = "pages",
    request_body(content = Login, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Logged in", headers(
            ("Location", description = "The dashboard"),
            ("Set-Cookie", description = "The session"),
        )),
        (status = 400, description = "No token was typed in", content_type = "text/html", body = String),
        (status = 401, description = "The token is not accepted", content_type = "text/html", body = String),
        (status = 429, description = "Too many wrong tokens have come from there", content_type = "text/html", body = String),
    ),
)]
async fn log_in(
    access: Data<Access>,
    control: Data<Control>,
    request: HttpRequest,
    form: Result<Form<Login>, actix_web::Error>,
) -> HttpResponse {
    let Ok(Form(Login { token })) = form else {
        let words = "No token came, so that nobody is logged in. Type one in.";
        return page(StatusCode::BAD_REQUEST, Some(words));
    };
    if !access.knows_tokens() {
        return see("/");
    }
    // Else it could let a person act in a session that is not theirs.
    if let Some(origin) = access.page_of_others(&request) {
        control.note_refused_call(Rejection::ForeignOrigin);
        return Problem::foreign_origin(&origin).error_response();
    }
    match access.log_in(&request, token.trim()) {
        Ok(shown) => with_cookie(see("/"), cookie(&access, shown)),
        Err(refused) => {
            control.note_refused_call(refused.rejection);
            let problem = access::problem(refused);
            if refused.rejection == Rejection::WrongToken {
                let from = access::peer(&request);
                tracing::warn!(%from, "somebody tried to log in with a token that is none of ours");
            }
            let answer = problem.error_response();
            let mut told = page(answer.status(), Some(words(refused.rejection)));
            let connection = answer.head().connection_type();
            told.head_mut().set_connection_type(connection);
            for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
                if let Some(value) = answer.headers().get(&name) {
                    told.headers_mut().insert(name, value.clone());
                }
            }
            told
        }
    }
}

fn words(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::TooManyWrongTokens => {
            "Too many wrong tokens have come from this address, and this one is none of the service's either. Look up CONTROL_TOKEN or READ_TOKEN where it runs."
        }
        _ => {
            "This token is none of the service's. Look up CONTROL_TOKEN or READ_TOKEN where it runs."
        }
    }
}

/// Log out
#[utoipa::path(
    post,
    path = "/logout",
    operation_id = "log_out",
    tag = "pages",
    responses((status = 303, description = "Nobody is logged in any more", headers(
        ("Location", description = "The page on which a person logs in"),
    ))),
)]
async fn log_out(access: Data<Access>, request: HttpRequest) -> HttpResponse {
    access.log_out(&request);
    let mut gone = cookie(&access, String::new());
    gone.make_removal();
    with_cookie(see("/login"), gone)
}

fn cookie(access: &Access, shown: String) -> Cookie<'static> {
    let longest = time::Duration::try_from(access::LONGEST).unwrap_or(time::Duration::DAY);
    Cookie::build(access.rules().cookie_name(), shown)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(access.rules().encrypted)
        .max_age(longest)
        .finish()
}

fn with_cookie(mut answer: HttpResponse, cookie: Cookie<'static>) -> HttpResponse {
    match answer.add_cookie(&cookie) {
        Ok(()) => answer,
        Err(error) => Problem::internal(&error).error_response(),
    }
}

fn see(place: &'static str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, place))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

/// What a person gets who asked for something else and has to log in first.
pub(super) fn instead(problem: &Problem) -> HttpResponse {
    let mut page = page(StatusCode::UNAUTHORIZED, None);
    if let Some(challenge) = problem.error_response().headers().get(WWW_AUTHENTICATE) {
        page.headers_mut()
            .insert(WWW_AUTHENTICATE, challenge.clone());
    }
    page
}

fn page(status: StatusCode, trouble: Option<&str>) -> HttpResponse {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { @if trouble.is_some() { "Not logged in – " } "Log in – meterit-sync" }
                link rel="icon" type="image/svg+xml" href="/assets/off.svg";
                link rel="stylesheet" href="/assets/page.css";
            }
            body .login {
                main .panel {
                    h1 { "meterit-sync" }
                    @if let Some(trouble) = trouble { p #trouble .trouble role="alert" { (trouble) } }
                    form method="post" action="/login" {
                        label for="token" { "Token" }
                        input #token type="password" name="token" required autofocus
                            autocomplete="current-password" autocapitalize="off" spellcheck="false"
                            aria-describedby="token-note"
                            aria-invalid=[trouble.is_some().then_some("true")];
                        p #token-note .note {
                            "CONTROL_TOKEN lets you look and act, READ_TOKEN look only. Both are among the settings of the service."
                        }
                        button .primary type="submit" { "Log in" }
                    }
                }
            }
        }
    };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Else browsers would not tell where the form comes from.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(markup.into_string())
}
