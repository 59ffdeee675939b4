// Package shop is a shop in which customers buy: it drives the HighLevel sandbox with orders in several currencies, with
// discounts, coupon codes, taxes, shipping, invoices, payments at once, in parts, failed, pending and never, refunds in
// part and in full, test orders and customers without an e-mail address.
//
// What is bought is a pure function of the seed (Generate). The shop keeps its own book of what was charged and paid,
// and Agree says afterwards whether Sage holds exactly that: it compares the state of the two servers with each other
// and shares no code with the product.
package shop
