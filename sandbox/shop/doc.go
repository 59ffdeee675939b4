// Package shop is a shop in which customers buy: it drives the HighLevel sandbox with orders in several currencies, with
// discounts, coupon codes, taxes, shipping, invoices, payments at once, in parts, failed, pending and never, refunds in
// part and in full, test orders and customers without an e-mail address.
//
// A Dispatch sends what is sold: whole or in parts, from HighLevel, from Sage or from both at once, with and without
// numbers, up to the carrier's call, or to a cancellation. It waits for facts and never for time.
//
// What is bought, and what becomes of the goods, is a pure function of the seed (Generate). The shop keeps its own book
// of what was charged and paid and waybills of what was sent, and Agree says afterwards whether both sides hold exactly
// that: it compares the state of the two servers with each other and shares no code with the product but its amounts.
package shop
