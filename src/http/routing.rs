//! Resources that answer wrong methods and unknown paths as they answer everything else, and that are described by the
//! same words that route them: what is served and what `/openapi.json` says cannot part.

use actix_web::{
    HttpRequest, Resource, Route,
    http::Method,
    web::{self, Data, ServiceConfig},
};
use utoipa::{ToSchema, openapi::path::HttpMethod};

use super::{
    description::{Description, Document},
    problem::{MEDIA_TYPE, Problem, ProblemDocument},
};

/// A status that is no success, and what it means.
pub(super) type DescribedRefusal = (u16, &'static str);

/// What the request holds makes no sense.
pub(super) const INVALID: DescribedRefusal = (400, "The request makes no sense. Nothing was done.");
/// There is no such thing.
pub(super) const NOT_FOUND: DescribedRefusal = (404, "There is no such entry. Nothing was done.");
/// What calls to the Client System may end with.
pub(super) const CALL_FAILED: [DescribedRefusal; 2] = [
    (
        502,
        "The Client System does not accept the key, or refuses the call.",
    ),
    (504, "The Client System did not answer in time."),
];

/// A route and what it answers to. Made by [`described`].
pub(super) struct Described {
    description: Description,
    route: Route,
}

/// A route with the description that `#[utoipa::path]` has made of its handler.
pub(super) fn described<D>(route: Route) -> Described
where
    D: utoipa::Path + utoipa::__dev::SchemaReferences + utoipa::__dev::Tags<'static>,
{
    let description = Description::of::<D>();
    Described { description, route }
}

impl Described {
    /// Adds what the route may answer where it does not succeed.
    pub(super) fn refuses(self, refusals: impl IntoIterator<Item = DescribedRefusal>) -> Self {
        self.refuses_as::<ProblemDocument>(MEDIA_TYPE, refusals)
    }

    /// As [`Described::refuses`], in another form than that of problems.
    pub(super) fn refuses_as<T: ToSchema>(
        mut self,
        media_type: &'static str,
        refusals: impl IntoIterator<Item = DescribedRefusal>,
    ) -> Self {
        self.description.refuse::<T>(media_type, refusals);
        self
    }
}

/// All resources and the descriptions of them.
#[derive(Default)]
pub(super) struct Api {
    resources: Vec<Resource>,
    descriptions: Vec<Description>,
}

impl Api {
    /// Adds a resource: all routes of one path.
    pub(super) fn resource<const N: usize>(&mut self, routes: [Described; N]) {
        self.resource_with(routes, |resource| resource);
    }

    /// Adds a resource that needs more than its routes.
    pub(super) fn resource_with<const N: usize>(
        &mut self,
        routes: [Described; N],
        more: impl FnOnce(Resource) -> Resource,
    ) {
        let Some(path) = routes.first().map(|route| route.description.path.clone()) else {
            return;
        };
        let mut served = Vec::new();
        for described in routes {
            served.push((method(&described.description.method), described.route));
            self.descriptions.push(described.description);
        }
        self.resources.push(more(resource(&path, served)));
    }

    /// Describes what is served by something else than a resource of this room.
    pub(super) fn mention(&mut self, described: Described) {
        self.descriptions.push(described.description);
    }

    /// Lets a service serve the resources, and the description by whoever asks for [`Document`].
    pub(super) fn serve(self, service: &mut ServiceConfig) {
        service.app_data(Data::new(Document::of(self.descriptions)));
        for resource in self.resources {
            service.service(resource);
        }
    }
}

pub(super) fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
        _ => Method::GET,
    }
}

fn resource(path: &str, routes: Vec<(Method, Route)>) -> Resource {
    let allowed = routes
        .iter()
        .flat_map(|(method, _)| match *method {
            Method::GET => vec!["GET", "HEAD"],
            _ => vec![method.as_str()],
        })
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
        "no route has the path {}; GET /openapi.json lists those that there are",
        request.path()
    )))
}
