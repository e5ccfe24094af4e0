/** A bounded map that forgets what was put in longest ago. */
export interface Lru<K, V> {
  /** Removes and returns. */
  take(key: K): V | undefined;
  put(key: K, value: V): void;
}

export function createLru<K, V>(capacity: number): Lru<K, V> {
  const items = new Map<K, V>();
  return {
    take(key) {
      const value = items.get(key);
      items.delete(key);
      return value;
    },
    put(key, value) {
      items.delete(key);
      items.set(key, value);
      if (items.size > capacity) items.delete(items.keys().next().value as K);
    },
  };
}
