internal import HTTPTypes
public import MatrixAPI

/// Gives the metrics to who collects them. Only listeners with the resource `metrics` serve it.
public struct MetricsRoutes: RouteGroup {
    private let metrics: PrometheusMetrics

    public init(metrics: PrometheusMetrics) { self.metrics = metrics }

    public func register(on router: inout Router) {
        router.onPublic(.metrics) { _ in
            .raw(Array(metrics.exposition().utf8), contentType: "text/plain; version=0.0.4; charset=utf-8")
        }
    }
}

extension Route {
    /// The metrics, as Prometheus reads them.
    public static let metrics = Route("metrics", .get, "/metrics", .none)
}
