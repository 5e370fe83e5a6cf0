/** Money and sizes in words. */

const formats = new Map<string, Intl.NumberFormat>();

/** `€5.65`, `−£12.00`, `¥560`: the register's currency with its own decimals. */
export function money(amount: number | null | undefined, currency: string, digits: number): string {
  if (amount === null || amount === undefined || !Number.isFinite(amount)) return "";
  const key = `${currency} ${digits}`;
  let format = formats.get(key);
  if (!format) {
    const decimals = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    try {
      format = new Intl.NumberFormat("en-GB", {
        style: "currency",
        currency,
        currencyDisplay: "narrowSymbol",
        ...decimals,
      });
    } catch {
      // No currency yet, or one that is no code: the bare number is still right.
      format = new Intl.NumberFormat("en-GB", decimals);
    }
    formats.set(key, format);
  }
  return format.format(amount).replace("-", "−");
}

/** `0.40`: scores and points always have two decimals. */
export function score(of: number): string {
  return of.toFixed(2);
}

/** `512 MB`, `29 kB`. */
export function bytes(of: number): string {
  if (of < 1000) return `${of} B`;
  for (const [unit, size] of [
    ["kB", 1e3],
    ["MB", 1e6],
    ["GB", 1e9],
  ] as const) {
    const value = of / size;
    if (value < 999.5 || unit === "GB") return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return "";
}

/** `1,234`. */
export function count(of: number): string {
  return of.toLocaleString("en-GB");
}

/** `1 alert`, `3 alerts`. */
export function many(of: number, one: string, more = `${one}s`): string {
  return `${count(of)} ${of === 1 ? one : more}`;
}
