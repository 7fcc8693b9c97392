import java.io.PrintStream;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One node of OpenSearch on loopback: PORT FOLDER. Says "ready" on standard error when it takes requests. */
public class Server {
  public static void main(String[] arguments) throws Exception {
    // OpenSearch puts loggers in the place of both streams.
    PrintStream error = System.err;
    try {
      OpenSearchRunner runner = new OpenSearchRunner();
      runner.onBuild((number, settings) -> {
        settings.put("http.port", arguments[0]);
        settings.put("network.host", "127.0.0.1");
        settings.put("discovery.type", "single-node");
        settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
      });
      runner.build(OpenSearchRunner.newConfigs().basePath(arguments[1]).numOfNode(1).clusterName("shelfmark-tests"));
    } catch (Throwable failure) {
      failure.printStackTrace(error);
      System.exit(1);
    }
    error.println("ready");
    Thread.sleep(Long.MAX_VALUE);
  }
}
