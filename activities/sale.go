package activities

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
)

// saleOf turns HighLevel's order and transactions into a sale. What does not fit, such as an unknown currency or half a
// piece, is a domain.ErrMoney.
func saleOf(location string, order ghl.Order, transactions []ghl.Transaction) (domain.Sale, error) {
	currency, err := domain.ParseCurrency(order.Currency)
	if err != nil {
		return domain.Sale{}, fmt.Errorf("order %s: %w", order.ID, err)
	}
	sale := domain.Sale{
		Location: location, OrderID: order.ID, Status: order.Status, Live: !order.Test, Currency: currency,
		CouponCode: order.CouponCode, Customer: customerOf(order.ContactID, order.Contact),
		FulfillmentWord: order.FulfillmentStatus, CreatedAt: order.CreatedAt, UpdatedAt: order.UpdatedAt,
	}
	if strings.EqualFold(order.Source.Type, "invoice") {
		sale.InvoiceID = order.Source.ID
	}
	if !order.Amount.IsSet() {
		return domain.Sale{}, fmt.Errorf("order %s: %w: it has no amount", order.ID, domain.ErrMoney)
	}
	if sale.Total, err = domain.ParseMoney(order.Amount, currency); err != nil {
		return domain.Sale{}, fmt.Errorf("the amount of order %s: %w", order.ID, err)
	}
	if sale.Charges, err = chargesOf(order, currency); err != nil {
		return domain.Sale{}, fmt.Errorf("order %s: %w", order.ID, err)
	}
	for _, item := range order.Items {
		one, known, err := itemOf(item, currency)
		if err != nil {
			return domain.Sale{}, fmt.Errorf("order %s: %w", order.ID, err)
		}
		if known {
			sale.Items = append(sale.Items, one)
		}
	}
	if sale.Goods, err = goodsOf(order); err != nil {
		return domain.Sale{}, err
	}
	for _, t := range transactions {
		payment, err := paymentOf(t)
		if err != nil {
			return domain.Sale{}, fmt.Errorf("order %s: %w", order.ID, err)
		}
		sale.Payments = append(sale.Payments, payment)
	}
	return sale, nil
}

func chargesOf(order ghl.Order, currency domain.Currency) (domain.Charges, error) {
	var charges domain.Charges
	tax := order.Summary.Tax
	for _, part := range []struct {
		name   string
		number domain.Number
		into   **domain.Money
	}{
		{"subtotal", order.Summary.Subtotal, &charges.Subtotal},
		{"discount", order.Summary.Discount, &charges.Discount},
		{"tax", tax, &charges.Tax},
		{"shipping", order.Summary.Shipping, &charges.Shipping},
	} {
		if !part.number.IsSet() {
			continue
		}
		amount, err := domain.ParseMoney(part.number, currency)
		if err != nil {
			return charges, fmt.Errorf("its %s: %w", part.name, err)
		}
		*part.into = &amount
	}
	if charges.Tax == nil && len(order.TaxSummary) > 0 {
		return charges, addTaxes(order.TaxSummary, currency, &charges)
	}
	return charges, nil
}

// addTaxes sums up the listed taxes where the summary gives none.
func addTaxes(taxes []ghl.Tax, currency domain.Currency, charges *domain.Charges) error {
	sum := domain.NewMoney(0, currency)
	for _, tax := range taxes {
		amount, err := domain.ParseMoney(tax.Amount, currency)
		if err != nil {
			return fmt.Errorf("its tax: %w", err)
		}
		if sum, err = sum.Add(amount); err != nil {
			return fmt.Errorf("its taxes: %w", err)
		}
	}
	charges.Tax = &sum
	return nil
}

// itemOf reads a line. A line that HighLevel gives as a bare text, without price, says nothing of money and is not
// known; the sale then books as one whole.
func itemOf(item ghl.OrderItem, currency domain.Currency) (one domain.Item, known bool, err error) {
	if !item.Price.Amount.IsSet() {
		return one, false, nil
	}
	one = domain.Item{PriceID: item.Price.ID, ProductID: item.Product.ID,
		Name: cmp.Or(item.Name, item.Product.Name, item.Price.Name)}
	of := currency
	if item.Price.Currency != "" {
		if of, err = domain.ParseCurrency(item.Price.Currency); err != nil {
			return one, false, err
		}
	}
	if one.Price, err = domain.ParseMoney(item.Price.Amount, of); err != nil {
		return one, false, fmt.Errorf("the price of a line: %w", err)
	}
	if one.Quantity, err = pieces(item.Quantity); err != nil {
		return one, false, err
	}
	return one, true, nil
}

// clearings reads HighLevel's words for the state of a transaction. The vocabulary is open: "succeeded" is the one
// documented, the others were met in the field (A02). A word that is not here counts as pending.
var clearings = map[string]domain.Clearing{
	"succeeded": domain.Settled, "success": domain.Settled, "paid": domain.Settled, "completed": domain.Settled,
	"captured": domain.Settled, "refunded": domain.Settled, "partially_refunded": domain.Settled,
	"failed": domain.Failed, "declined": domain.Failed, "canceled": domain.Failed, "cancelled": domain.Failed,
}

func paymentOf(t ghl.Transaction) (domain.Payment, error) {
	payment := domain.Payment{ID: t.ID, At: t.FulfilledAt, UpdatedAt: t.UpdatedAt, Clearing: domain.Pending}
	status := strings.ToLower(strings.TrimSpace(t.Status))
	if clearing, known := clearings[status]; known {
		payment.Clearing = clearing
	}
	if payment.At.IsZero() {
		payment.At = t.CreatedAt
	}
	currency, err := domain.ParseCurrency(t.Currency)
	if err != nil {
		return payment, fmt.Errorf("payment %s: %w", t.ID, err)
	}
	if payment.Amount, err = domain.ParseMoney(t.Amount, currency); err != nil {
		return payment, fmt.Errorf("payment %s: %w", t.ID, err)
	}
	if payment.Refunded, err = domain.ParseMoney(t.AmountRefunded, currency); err != nil {
		return payment, fmt.Errorf("the refund of payment %s: %w", t.ID, err)
	}
	if status == "refunded" && payment.Refunded.IsZero() {
		payment.Refunded = payment.Amount // the word says that all of it went back
	}
	return payment, nil
}

func customerOf(contactID string, c ghl.Contact) domain.Customer {
	customer := domain.Customer{
		ContactID: cmp.Or(contactID, c.ID), FirstName: c.FirstName, LastName: c.LastName, Company: c.CompanyName,
		Email: c.Email, Phone: c.Phone, Address: c.Address, City: c.City, Region: c.State, Postcode: c.PostalCode,
		Country: c.Country,
	}
	if customer.FirstName == "" && customer.LastName == "" {
		customer.FirstName, customer.LastName, _ = strings.Cut(strings.TrimSpace(c.Name), " ")
	}
	return customer
}

// completed fills what the snapshot of a sale lacks with what the contact has now.
func completed(snapshot, now domain.Customer) domain.Customer {
	for _, field := range []struct{ have, add *string }{
		{&snapshot.FirstName, &now.FirstName}, {&snapshot.LastName, &now.LastName}, {&snapshot.Company, &now.Company},
		{&snapshot.Email, &now.Email}, {&snapshot.Phone, &now.Phone}, {&snapshot.Address, &now.Address},
		{&snapshot.City, &now.City}, {&snapshot.Region, &now.Region}, {&snapshot.Postcode, &now.Postcode},
		{&snapshot.Country, &now.Country},
	} {
		if *field.have == "" {
			*field.have = *field.add
		}
	}
	return snapshot
}
