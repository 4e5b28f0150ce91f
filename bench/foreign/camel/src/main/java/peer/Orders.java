package peer;

import java.util.List;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;
import org.apache.camel.model.dataformat.JsonLibrary;

/** Camel's main with its HTTP platform: an order in; total, upper-cased name and route out. */
public final class Orders extends RouteBuilder {
  public record Customer(String name) {}

  public record Line(String sku, int qty, double price) {}

  public record Order(long id, Customer customer, List<Line> lines) {}

  public record Routed(long id, double total, String name, String route) {}

  static Routed transform(Order order) {
    double total = order.lines().stream().mapToDouble(line -> line.qty() * line.price()).sum();
    return new Routed(order.id(), total, order.customer().name().toUpperCase(), total > 1000 ? "big" : "small");
  }

  @Override
  public void configure() {
    from("platform-http:/orders?httpMethodRestrict=POST")
        .unmarshal().json(JsonLibrary.Jackson, Order.class)
        .process(exchange -> exchange.getMessage().setBody(transform(exchange.getMessage().getBody(Order.class))))
        .marshal().json(JsonLibrary.Jackson)
        .removeHeaders("*")
        .setHeader("Content-Type", constant("application/json"));
  }

  public static void main(String[] values) throws Exception {
    Main main = new Main();
    main.addInitialProperty("camel.server.enabled", "true");
    main.addInitialProperty("camel.server.host", "127.0.0.1");
    main.addInitialProperty("camel.server.port", values[0]);
    main.configure().addRoutesBuilder(new Orders());
    main.run();
  }
}
