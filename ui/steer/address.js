/** Has the page's address say the edits as they are; draws nothing. */

import { putInAddress } from "../live/address.js";

/** @import { Component } from "../live/mount.js" */

/** @param {Component<{ page: string, recipe: string | null }>} component recipe: packed; null: nothing is edited */
export default function ({ data: { page, recipe } }) { putInAddress(page, { recipe }); }
