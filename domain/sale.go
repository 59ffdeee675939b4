package domain

import (
	"fmt"
	"strings"
	"time"
)

// Sale is one HighLevel order together with its payments, as read at one moment. It is what a pass over an order works
// from: a webhook only says that it should be read again.
type Sale struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
	// Status is the source's word for the order's state. Its vocabulary is open, so nothing but "completed" on an order
	// of no value is ever concluded from it.
	Status string `json:"status,omitempty"`
	// FulfillmentWord is the source's word for how much of the order was sent. Its vocabulary is not published, so only
	// a change of it is ever looked at.
	FulfillmentWord string `json:"fulfillmentWord,omitempty"`
	// Live is false for orders taken in test mode, which never reach the books.
	Live     bool     `json:"live"`
	Currency Currency `json:"currency"`
	// Total is what the customer is charged, after discount, with tax and shipping.
	Total   Money   `json:"total"`
	Charges Charges `json:"charges"`
	Items   []Item  `json:"items,omitempty"`
	// Goods are the lines as far as shipping goes: also those of which the source gives no price, and none that names
	// neither a product nor a price. Their prices are not looked at.
	Goods []Item `json:"goods,omitempty"`

	CouponCode string `json:"couponCode,omitempty"`
	// InvoiceID and InvoiceNumber are set when the order came from an invoice.
	InvoiceID     string    `json:"invoiceId,omitempty"`
	InvoiceNumber string    `json:"invoiceNumber,omitempty"`
	Customer      Customer  `json:"customer"`
	Payments      []Payment `json:"payments,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

// Charges is how the source explains a total. A nil amount was not given, which is not the same as nothing.
type Charges struct {
	Subtotal *Money `json:"subtotal,omitempty"`
	Discount *Money `json:"discount,omitempty"`
	Tax      *Money `json:"tax,omitempty"`
	Shipping *Money `json:"shipping,omitempty"`
}

// Item is one line of the source's order: so many of one price of one product.
type Item struct {
	PriceID   string `json:"priceId,omitempty"`
	ProductID string `json:"productId,omitempty"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	// Price is for one piece, before any discount.
	Price Money `json:"price"`
	// Kind says whether the item has to be sent; it is known of Goods only.
	Kind ProductKind `json:"kind,omitempty"`
}

// Customer is who bought. Every field but the contact id may be missing.
type Customer struct {
	ContactID string `json:"contactId,omitempty"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Company   string `json:"company,omitempty"`
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
	Address   string `json:"address,omitempty"`
	City      string `json:"city,omitempty"`
	Region    string `json:"region,omitempty"`
	Postcode  string `json:"postcode,omitempty"`
	// Country is an ISO 3166 alpha-2 code as the source gives it, unchecked.
	Country string `json:"country,omitempty"`
}

// FullName joins first and last name; it is empty when neither is known.
func (c Customer) FullName() string {
	return strings.TrimSpace(strings.TrimSpace(c.FirstName) + " " + strings.TrimSpace(c.LastName))
}

// AsOf is the newest moment at which the source says that the order or one of its payments changed (A17). News with an older
// AsOf never overwrites what was brought from newer news.
func (s Sale) AsOf() time.Time {
	newest := s.UpdatedAt
	for _, p := range s.Payments {
		if p.UpdatedAt.After(newest) {
			newest = p.UpdatedAt
		}
	}
	return newest
}

// CustomerExtID is the identity of the buyer: the contact, or for a sale without one the order itself.
func (s Sale) CustomerExtID() string {
	if s.Customer.ContactID != "" {
		return ContactExtID(s.Customer.ContactID)
	}
	return GuestExtID(s.OrderID)
}

// References are the words under which people may have entered this sale by hand: the order's id and, for an order that
// came from an invoice, the invoice's number.
func (s Sale) References() []string {
	refs := []string{s.OrderID}
	if s.InvoiceNumber != "" {
		refs = append(refs, s.InvoiceNumber)
	}
	return refs
}

// Free tells an order that is complete without any payment because there was nothing to pay (A05).
func (s Sale) Free() bool {
	return s.Total.IsZero() && len(s.Payments) == 0 && strings.EqualFold(s.Status, "completed")
}

// Validate finds what no later step could mend: a sale without identity or currency, a total or a payment in another
// currency than the sale's, and payments that contradict themselves. Items and charges are Book's to check.
func (s Sale) Validate() error {
	if s.Location == "" || s.OrderID == "" {
		return fmt.Errorf("the order has no id or no location")
	}
	if s.Currency == "" {
		return fmt.Errorf("%w: the order names no currency", ErrMoney)
	}
	if s.Total.Currency != s.Currency {
		return fmt.Errorf("%w: the total is in %q, its order in %q", ErrMoney, s.Total.Currency, s.Currency)
	}
	for _, p := range s.Payments {
		if err := s.checkPayment(p); err != nil {
			return err
		}
	}
	return nil
}

func (s Sale) checkPayment(p Payment) error {
	if p.Amount.Currency != s.Currency {
		return fmt.Errorf("%w: payment %s is in %s, its order in %s", ErrMoney, p.ID, p.Amount.Currency, s.Currency)
	}
	if p.Amount.Minor < 0 || p.Refunded.Minor < 0 || p.Refunded.Minor > p.Amount.Minor {
		return fmt.Errorf("%w: payment %s of %s has refunds of %s", ErrMoney, p.ID, p.Amount, p.Refunded)
	}
	// Amounts are in major units (A01).
	if hundredfold, err := s.Total.Times(100); err == nil && !s.Total.IsZero() && p.Amount == hundredfold {
		return fmt.Errorf("%w: payment %s of %s is exactly a hundred times the order's total %s: its provider seems to "+
			"report minor units", ErrMoney, p.ID, p.Amount, s.Total)
	}
	return nil
}
