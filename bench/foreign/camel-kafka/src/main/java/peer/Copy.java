package peer;

import java.util.List;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;
import org.apache.camel.model.dataformat.JsonLibrary;

/** Orders of a topic, transformed, into another; a consumer for each partition. */
public final class Copy extends RouteBuilder {
  public record Customer(String name) {}

  public record Line(String sku, int qty, double price) {}

  public record Order(long id, Customer customer, List<Line> lines) {}

  public record Routed(long id, double total, String name, String route) {}

  private static String[] given;

  static Routed transform(Order order) {
    double total = order.lines().stream().mapToDouble(line -> line.qty() * line.price()).sum();
    return new Routed(order.id(), total, order.customer().name().toUpperCase(), total > 1000 ? "big" : "small");
  }

  @Override
  public void configure() {
    String login = "brokers=" + given[0] + "&securityProtocol=SASL_PLAINTEXT&saslMechanism=PLAIN&saslJaasConfig=RAW(" + given[1] + ")";
    from("kafka:" + given[2] + "?" + login + "&groupId=camel&autoOffsetReset=earliest&consumersCount=" + given[4])
        .unmarshal().json(JsonLibrary.Jackson, Order.class)
        .process(exchange -> exchange.getMessage().setBody(transform(exchange.getMessage().getBody(Order.class))))
        .marshal().json(JsonLibrary.Jackson)
        .removeHeader("kafka.OVERRIDE_TOPIC")
        .to("kafka:" + given[3] + "?" + login + "&requestRequiredAcks=all");
  }

  /** Broker, login, source, target, consumers. */
  public static void main(String[] values) throws Exception {
    given = values;
    Main main = new Main();
    main.configure().addRoutesBuilder(new Copy());
    main.run();
  }
}
