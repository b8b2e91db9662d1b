// The order of rows, the same as the server's.

interface Ordered {
  key: string;
  fields: Record<string, unknown>;
}

/**
 * Compares text by code points, which is the order of its UTF-8 bytes. JavaScript's < compares UTF-16 units, in which the
 * surrogates (D800–DFFF, all that is above FFFF) stand before E000–FFFF: the two ranges change places here.
 */
export function compareText(a: string, b: string): number {
  const place = (unit: number) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x !== y) return place(x) - place(y);
  }
  return a.length - b.length;
}

// A time as Go writes it: the fraction's last zeros are cut off, so that "…00.5Z" comes after "…00Z", though "." is less than "Z".
const time = /^(\d{4}-\d\d-\d\dT[\d:.]+)(Z|[+-]\d\d:\d\d)$/;

/** Compares two values of one field: null first, false before true, numbers by size, times by time, text by code points. */
export function compareValues(a: unknown, b: unknown): number {
  // undefined is a field that the server will fill in (a row just created here): a boolean mostly with false, else it is mostly an id or
  // a time, greater than those before.
  if (a === undefined && typeof b === "boolean") a = false;
  if (b === undefined && typeof a === "boolean") b = false;
  if (a === b) return 0;
  if (a === undefined || b === null) return 1;
  if (b === undefined || a === null) return -1;
  if (typeof a === "string" && typeof b === "string") {
    const x = time.exec(a), y = time.exec(b);
    if (!x || !y) return compareText(a, b);
    return (x[2] !== y[2] && Date.parse(a) - Date.parse(b)) || compareText(x[1]!, y[1]!);
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The comparison of rows by an order like "-created_at,title"; rows that are equal in it come by key as text. */
export function comparator(order: string): (a: Ordered, b: Ordered) => number {
  const by = order.split(",").map(name => [name.replace("-", ""), name[0] === "-" ? -1 : 1] as const);
  return (a, b) => {
    for (const [name, sign] of by) {
      const c = compareValues(a.fields[name], b.fields[name]);
      if (c) return c * sign;
    }
    return compareText(a.key, b.key);
  };
}
