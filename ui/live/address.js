/**
 * What the browser alone knows of a page and keeps in its address. It takes the place of the address before: a setting is no
 * step of the browser's history. Python does not hear of it, so that it is put back into each address that Python writes.
 */

import { shared } from "./shared.js";

/** @type {Map<string, Record<string, string | null>>} by page: its address' last part */
const ours = shared("address", () => new Map());
/** @param {URL} address */
const pageOf = (address) => address.pathname.split("/").pop() ?? "";

/** Whether that page is open. @param {string} page */
export const isOpen = (page) => pageOf(new URL(location.href)) === page;

/** @param {string} name */
export const inAddress = (name) => new URLSearchParams(location.search).get(name);

/** An address of a page with what the browser knows of that page. @param {URL} address */
export function completed(address) {
  for (const [name, value] of Object.entries(ours.get(pageOf(address)) ?? {})) {
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  }
  return address;
}

/** @param {string} page nothing is written into another's address @param {Record<string, string | null>} values null: not there */
export function putInAddress(page, values) {
  ours.set(page, { ...ours.get(page), ...values });
  if (!isOpen(page)) return;
  const address = completed(new URL(location.href));
  if (address.href !== location.href) history.replaceState(history.state, "", address);
}
