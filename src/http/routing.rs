//! Resources that answer wrong methods and unknown paths as they answer everything else.

use actix_web::{
    HttpRequest, Resource, Route,
    http::Method,
    web::{self, ServiceConfig},
};

use super::problem::Problem;

/// Adds a resource with its routes by method.
pub(super) fn resource<const N: usize>(
    service: &mut ServiceConfig,
    path: &str,
    routes: [(Method, Route); N],
) {
    service.service(resource_of(path, routes));
}

/// A resource with its routes by method, for those that need more.
pub(super) fn resource_of<const N: usize>(path: &str, routes: [(Method, Route); N]) -> Resource {
    let allowed = routes
        .iter()
        .map(|(method, _)| method.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let others = move |request: HttpRequest| {
        let problem = Problem::wrong_method(request.method().as_str(), &allowed);
        async move { Err::<&'static str, Problem>(problem) }
    };
    routes
        .into_iter()
        .fold(web::resource(path), |resource, (method, route)| {
            resource.route(route.method(method))
        })
        .default_service(web::to(others))
}

/// Answers for paths that lead nowhere.
pub(super) async fn no_such_route(request: HttpRequest) -> Result<&'static str, Problem> {
    Err(Problem::not_found(format!(
        "no route has the path {}; the README lists those that there are",
        request.path()
    )))
}
