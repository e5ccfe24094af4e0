/** Stands for a payment provider that honours idempotency keys, as all good ones do: the same key pays once. */
const paid = new Map<string, string>();

export function payBack(order: string, amount: number, idempotencyKey: string): string {
  const receipt = paid.get(idempotencyKey) ?? `receipt ${paid.size + 1}: ${amount} for order ${order}`;
  paid.set(idempotencyKey, receipt);
  return receipt;
}
