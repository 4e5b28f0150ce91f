// Written by `mayfly types` from shop.yaml: changes are lost.

export type Order = {
  customer: string;
  lines: Line[];
};

export type Line = {
  sku: Sku;
  quantity: number;
};

export type Sku = string;

export type PlacedOrder = Order & {
  id: string;
};

export type Shortage = {
  missing: Sku[];
};

export interface Operations {
  /** Place an order */
  createOrder: {
    operation: "createOrder";
    path: {};
    query: { "dry-run": boolean };
    header: {};
    cookie: {};
    body: Order;
    replies: {
      201: PlacedOrder;
      204: undefined;
      409: Shortage;
    };
  };
  /** Show an order */
  getOrder: {
    operation: "getOrder";
    path: { id: string };
    query: {};
    header: {};
    cookie: {};
    body: undefined;
    replies: {
      200: PlacedOrder;
      404: undefined;
    };
  };
}
