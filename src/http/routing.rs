//! Resources that answer wrong methods and unknown paths as they answer everything else, and that are described by the
//! same words that route them: what is served and what `/openapi.json` says cannot part.

use actix_web::{
    HttpRequest, Resource, Route,
    http::Method,
    web::{self, Bytes, Data, ServiceConfig},
};
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, Info, OpenApi, Paths, Ref, RefOr, Schema, Tag,
        path::{HttpMethod, Operation, PathItem},
        response::ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    access::needed,
    problem::{MEDIA_TYPE, Problem, ProblemDocument},
};
use crate::domain::access::Grant;

/// A status that is no success, and what it means.
pub(super) type DescribedRefusal = (u16, &'static str);

/// What any call may answer.
const ANYWHERE: [DescribedRefusal; 4] = [
    (
        403,
        "A page from another machine asked, or a token that is for looking only came with what changes something. Nothing was done.",
    ),
    (
        421,
        "The request names another machine as its host. Nothing was done.",
    ),
    (
        500,
        "The service made a mistake. Readings are not affected.",
    ),
    (
        503,
        "A part of the service, the Sync Database or the Client System does not answer or wants to be left alone; `Retry-After` may tell for how long.",
    ),
];
/// What a call that needs a token may answer.
const WITH_TOKENS: [DescribedRefusal; 2] = [
    (
        401,
        "A token is set, and none came along, or a wrong one. Nothing was done.",
    ),
    (
        429,
        "Too many wrong tokens have come from there, and this was one more; a right one is taken at any time. Nothing was done.",
    ),
];
/// How the tokens are called in the description.
const CONTROL: &str = "control_token";
const READ: &str = "read_token";
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
    path: String,
    method: HttpMethod,
    operation: Operation,
    schemas: Vec<(String, RefOr<Schema>)>,
    route: Route,
}

/// A route with the description that `#[utoipa::path]` has made of its handler.
pub(super) fn described<D>(route: Route) -> Described
where
    D: utoipa::Path + utoipa::__dev::SchemaReferences + utoipa::__dev::Tags<'static>,
{
    let mut schemas = Vec::new();
    D::schemas(&mut schemas);
    let mut operation = D::operation();
    operation.tags = Some(D::tags().into_iter().map(str::to_owned).collect());
    Described {
        path: D::path(),
        method: D::methods().into_iter().next().unwrap_or(HttpMethod::Get),
        operation,
        schemas,
        route,
    }
}

impl Described {
    /// Adds what the route may answer where it does not succeed.
    pub(super) fn refuses(self, refusals: impl IntoIterator<Item = DescribedRefusal>) -> Self {
        self.refuses_as::<ProblemDocument>(MEDIA_TYPE, refusals)
    }

    /// Adds what is the same for all: who may call, and what whoever may not is answered.
    fn guarded(mut self) -> Self {
        let need = needed(&method(&self.method), &self.path);
        let Some(need) = need else {
            self.operation.security = Some(Vec::new());
            return self.refuses(ANYWHERE);
        };
        // Nothing at all is enough where no token is set.
        let mut ways = vec![SecurityRequirement::default(), way(CONTROL)];
        if need == Grant::Look {
            ways.push(way(READ));
        }
        self.operation.security = Some(ways);
        self.refuses(WITH_TOKENS).refuses(ANYWHERE)
    }

    /// As [`Described::refuses`], in another form than that of problems.
    pub(super) fn refuses_as<T: ToSchema>(
        mut self,
        media_type: &str,
        refusals: impl IntoIterator<Item = DescribedRefusal>,
    ) -> Self {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into(), T::schema()));
        let answers = &mut self.operation.responses.responses;
        for (status, words) in refusals {
            let content = Content::new(Some(Ref::from_schema_name(T::name())));
            answers.entry(status.to_string()).or_insert_with(|| {
                let response = ResponseBuilder::new().description(words);
                RefOr::T(response.content(media_type, content).build())
            });
        }
        self
    }
}

/// All resources and the description of them.
pub(super) struct Api {
    resources: Vec<Resource>,
    paths: Paths,
    components: Components,
}

/// The description as it is served.
#[derive(Clone)]
pub(super) struct Document(pub(super) Bytes);

impl Api {
    /// Without resources.
    pub(super) fn new() -> Self {
        Self {
            resources: Vec::new(),
            paths: Paths::new(),
            components: Components::new(),
        }
    }

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
        let Some(path) = routes.first().map(|route| route.path.clone()) else {
            return;
        };
        let mut served = Vec::new();
        for described in routes.map(Described::guarded) {
            let method = method(&described.method);
            self.describe(described.path, described.method, described.operation);
            self.components.schemas.extend(described.schemas);
            served.push((method, described.route));
        }
        self.resources.push(more(resource(&path, served)));
    }

    /// Describes what is served by something else than a resource of this room.
    pub(super) fn mention(&mut self, described: Described) {
        let described = described.guarded();
        self.describe(described.path, described.method, described.operation);
        self.components.schemas.extend(described.schemas);
    }

    /// Lets a service serve the resources, and the description by whoever asks for [`Document`].
    pub(super) fn serve(self, service: &mut ServiceConfig) {
        let mut info = Info::new("meterit-sync", env!("CARGO_PKG_VERSION"));
        info.description = Some(include_str!("description.md").to_owned());
        let mut document = OpenApi::new(info, self.paths);
        let mut components = self.components;
        components.add_security_schemes_from_iter(schemes());
        document.components = Some(components);
        document.tags = Some(tags());
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        service.app_data(Data::new(Document(bytes.into())));
        for resource in self.resources {
            service.service(resource);
        }
    }

    fn describe(&mut self, path: String, method: HttpMethod, operation: Operation) {
        let item = PathItem::new(method, operation);
        match self.paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => {
                self.paths.paths.insert(path, item);
            }
        }
    }
}

fn way(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, [""; 0])
}

fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = |words: &'static str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(words)).build())
    };
    [
        (
            CONTROL,
            bearer("CONTROL_TOKEN, where it is set: good for everything."),
        ),
        (
            READ,
            bearer(
                "READ_TOKEN, where it is set: good for looking, and for nothing that changes something.",
            ),
        ),
    ]
}

fn tags() -> Vec<Tag> {
    let described = |name: &str, words: &str| {
        let mut tag = Tag::new(name);
        tag.description = Some(words.to_owned());
        tag
    };
    vec![
        described("status", "How the service fares."),
        described("sync", "Uploading: switching it, triggering it, its log."),
        described(
            "client-system",
            "The link to the Client System and what comes over it.",
        ),
        described("readings", "Storing readings, and looking at local ones."),
        described("quarantine", "Readings that were set aside."),
        described("frontend", "What the Sync Frontend at sites calls."),
        described("assistants", "What assistants call."),
        described("pages", "For people."),
    ]
}

fn method(method: &HttpMethod) -> Method {
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
