package contract

import (
	"context"
	"iter"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
)

type do func(context.Context, *ghl.Client) error

// calls has rows for every method of the client: the first with every option set, so that every parameter and every
// field of a body it can send is sent; the others with as little as is allowed, and with variants that differ in what
// HighLevel requires.
var calls = map[string][]do{
	"Orders.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Orders.Page(ctx, fullOrderFilter, ghl.Cursor{Offset: 100}))
	}},
	"Orders.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Orders.All(ctx, ghl.OrderFilter{})) }},
	"Orders.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Orders.Get(ctx, id)) }},
	"Orders.RecordPayment": {
		func(ctx context.Context, c *ghl.Client) error {
			return c.Orders.RecordPayment(ctx, id, fullOrderPayment)
		},
		func(ctx context.Context, c *ghl.Client) error {
			return c.Orders.RecordPayment(ctx, id, ghl.OrderPayment{Mode: "cash"})
		},
	},
	"Fulfillments.List": {func(ctx context.Context, c *ghl.Client) error { return second(c.Fulfillments.List(ctx, id)) }},
	"Fulfillments.Create": {
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Fulfillments.Create(ctx, id, fullFulfillment))
		},
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Fulfillments.Create(ctx, id, ghl.FulfillmentInput{Items: fullFulfillment.Items}))
		},
	},
	"Transactions.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Transactions.Page(ctx, fullTransactionFilter, ghl.Cursor{}))
	}},
	"Transactions.All": {func(ctx context.Context, c *ghl.Client) error {
		return walk(c.Transactions.All(ctx, ghl.TransactionFilter{}))
	}},
	"Transactions.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Transactions.Get(ctx, id)) }},
	"Subscriptions.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Subscriptions.Page(ctx, fullSubscriptionFilter, ghl.Cursor{}))
	}},
	"Subscriptions.All": {func(ctx context.Context, c *ghl.Client) error {
		return walk(c.Subscriptions.All(ctx, ghl.SubscriptionFilter{}))
	}},
	"Subscriptions.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Subscriptions.Get(ctx, id)) }},
	"Coupons.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Coupons.Page(ctx, fullCouponFilter, ghl.Cursor{}))
	}},
	"Coupons.PageLinks": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Coupons.PageLinks(ctx, fullCouponFilter, ghl.Cursor{}))
	}},
	"Coupons.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Coupons.All(ctx, ghl.CouponFilter{})) }},
	"Coupons.AllLinks": {func(ctx context.Context, c *ghl.Client) error {
		return walk(c.Coupons.AllLinks(ctx, ghl.CouponFilter{}))
	}},
	"Coupons.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Get(ctx, id, "FEST10")) }},
	"Coupons.Create": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Create(ctx, fullCoupon)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Create(ctx, leastCoupon)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Create(ctx, endlessCoupon)) },
	},
	"Coupons.Update": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Update(ctx, id, fullCoupon)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Coupons.Update(ctx, id, leastCoupon)) },
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Coupons.Update(ctx, id, endlessCoupon))
		},
	},
	"Coupons.Delete": {func(ctx context.Context, c *ghl.Client) error { return c.Coupons.Delete(ctx, id) }},
	"Products.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Products.Page(ctx, fullProductFilter, ghl.Cursor{}))
	}},
	"Products.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Products.All(ctx, ghl.ProductFilter{})) }},
	"Products.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Products.Get(ctx, id)) }},
	"Products.Create": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Products.Create(ctx, fullProduct)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Products.Create(ctx, leastProduct)) },
	},
	"Products.Update": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Products.Update(ctx, id, fullProduct)) },
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Products.Update(ctx, id, leastProduct))
		},
	},
	"Products.Delete": {func(ctx context.Context, c *ghl.Client) error { return c.Products.Delete(ctx, id) }},
	"Prices.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Prices.Page(ctx, id, fullPriceFilter, ghl.Cursor{}))
	}},
	"Prices.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Prices.All(ctx, id, ghl.PriceFilter{})) }},
	"Prices.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Prices.Get(ctx, id, id)) }},
	"Prices.Create": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Prices.Create(ctx, id, fullPrice)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Prices.Create(ctx, id, leastPrice)) },
	},
	"Prices.Update": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Prices.Update(ctx, id, id, fullPrice)) },
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Prices.Update(ctx, id, id, leastPrice))
		},
	},
	"Prices.Delete": {func(ctx context.Context, c *ghl.Client) error { return c.Prices.Delete(ctx, id, id) }},
	"Inventory.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Inventory.Page(ctx, fullStockFilter, ghl.Cursor{}))
	}},
	"Inventory.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Inventory.All(ctx, ghl.StockFilter{})) }},
	"Inventory.Update": {
		func(ctx context.Context, c *ghl.Client) error {
			return c.Inventory.Update(ctx, []ghl.StockChange{fullStockChange})
		},
		func(ctx context.Context, c *ghl.Client) error {
			return c.Inventory.Update(ctx, []ghl.StockChange{{PriceID: id}})
		},
	},
	"Contacts.Get": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Contacts.Get(ctx, "seD4PfOuKoVMLkEZqohJ"))
	}},
	"Contacts.FindDuplicate": {
		func(ctx context.Context, c *ghl.Client) error {
			return third(c.Contacts.FindDuplicate(ctx, "a@example.com", "+1 888"))
		},
		func(ctx context.Context, c *ghl.Client) error {
			return third(c.Contacts.FindDuplicate(ctx, "a@example.com", ""))
		},
		func(ctx context.Context, c *ghl.Client) error {
			return third(c.Contacts.FindDuplicate(ctx, "", "+1 888"))
		},
	},
	"Contacts.Upsert": {
		func(ctx context.Context, c *ghl.Client) error { return third(c.Contacts.Upsert(ctx, fullContact)) },
		func(ctx context.Context, c *ghl.Client) error {
			return third(c.Contacts.Upsert(ctx, ghl.ContactInput{Phone: "+1 888"}))
		},
	},
	"Contacts.AddTags": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Contacts.AddTags(ctx, id, []string{"buyer"}))
	}},
	"Contacts.AddNote": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Contacts.AddNote(ctx, id, fullNote)) },
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Contacts.AddNote(ctx, id, ghl.Note{Body: "b"}))
		},
	},
	"Invoices.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Invoices.Page(ctx, fullInvoiceFilter, ghl.Cursor{}))
	}},
	"Invoices.All": {func(ctx context.Context, c *ghl.Client) error { return walk(c.Invoices.All(ctx, ghl.InvoiceFilter{})) }},
	"Invoices.Get": {func(ctx context.Context, c *ghl.Client) error { return second(c.Invoices.Get(ctx, id)) }},
	"Invoices.Create": {
		func(ctx context.Context, c *ghl.Client) error { return second(c.Invoices.Create(ctx, fullInvoice)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Invoices.Create(ctx, leastInvoice)) },
	},
	"Invoices.RecordPayment": {
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Invoices.RecordPayment(ctx, id, fullInvoicePayment))
		},
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Invoices.RecordPayment(ctx, id, ghl.InvoicePayment{Mode: "bank_transfer"}))
		},
	},
	"Providers.Page": {func(ctx context.Context, c *ghl.Client) error {
		return second(c.Providers.Page(ctx, ghl.ProviderFilter{Limit: 50}, ghl.Cursor{}))
	}},
	"Providers.All": {func(ctx context.Context, c *ghl.Client) error {
		return walk(c.Providers.All(ctx, ghl.ProviderFilter{}))
	}},
	"Providers.Create": {func(ctx context.Context, c *ghl.Client) error { return second(c.Providers.Create(ctx, fullProvider)) }},
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

func walk[A any](rows iter.Seq2[A, error]) error {
	for _, err := range rows {
		if err != nil {
			return err
		}
	}
	return nil
}

const id = "653f5e0cde5a1314e62a837c"

var (
	day    = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	money  = domain.NewMoney(1999, "USD")
	pieces = int64(5)
	yes    = true
)

// full are the filters and inputs of the first rows; TestTheTableFillsEveryOption sees to it that they are full.
var full = []any{
	fullOrderFilter, fullTransactionFilter, fullSubscriptionFilter, fullCouponFilter, fullProductFilter, fullPriceFilter,
	fullStockFilter, fullInvoiceFilter, fullOrderPayment, fullFulfillment, fullCoupon, fullProduct, fullPrice, fullStockChange,
	fullContact, fullNote, fullInvoice, fullInvoicePayment, fullProvider,
}

var (
	fullOrderFilter = ghl.OrderFilter{
		From: day, To: day, Status: "completed", PaymentStatus: "paid", PaymentMode: "live", ContactID: "c", SourceID: "s", Limit: 50,
	}
	fullTransactionFilter = ghl.TransactionFilter{
		From: day, To: day, EntityID: "e", SubscriptionID: "sub_1", ContactID: "c", SourceType: "funnel", SourceSubType: "upsell",
		PaymentMode: "live", Limit: 50,
	}
	fullSubscriptionFilter = ghl.SubscriptionFilter{
		From: day, To: day, ID: id, EntityID: "e", ContactID: "c", SourceType: "funnel", Search: "x", PaymentMode: "live", Limit: 50,
	}
	fullCouponFilter  = ghl.CouponFilter{Status: "active", Search: "FEST", Limit: 50}
	fullProductFilter = ghl.ProductFilter{
		Search: "tee", CollectionIDs: []string{"a", "b"}, IDs: []string{id, id}, AvailableInStore: &yes, Limit: 50,
	}
	fullPriceFilter   = ghl.PriceFilter{IDs: []string{id, id}, Limit: 50}
	fullStockFilter   = ghl.StockFilter{Search: "tee", Limit: 50}
	fullInvoiceFilter = ghl.InvoiceFilter{From: day, To: day, Status: "paid", ContactID: "c", Search: "x", PaymentMode: "live", Limit: 50}

	fullOrderPayment = ghl.OrderPayment{
		Mode: "card", Card: &ghl.Card{Brand: "visa", Last4: "1234"}, ChequeNumber: "1", Notes: "n", Amount: &money, Partial: true,
		Meta: map[string]string{"k": "v"},
	}
	fullFulfillment = ghl.FulfillmentInput{
		Trackings: []ghl.Tracking{{Number: "1", Carrier: "FedEx", URL: "https://example.com/1"}},
		Items:     []ghl.FulfilledItem{{PriceID: id, Quantity: 2}}, NotifyCustomer: true,
	}
	leastCoupon   = ghl.CouponInput{Name: "n", Code: "c", DiscountType: "percentage", DiscountValue: "12.5", StartsAt: day}
	endlessCoupon = ghl.CouponInput{
		Name: "n", Code: "c", DiscountType: "percentage", DiscountValue: "12.5", StartsAt: day, Future: ghl.CouponRenewal{Applies: true},
	}
	fullCoupon = ghl.CouponInput{
		Name: "n", Code: "c", DiscountType: "amount", DiscountValue: "12.50", StartsAt: day, EndsAt: day, UsageLimit: 3,
		ProductIDs: []string{id}, Future: ghl.CouponRenewal{Applies: true, Months: 3}, OncePerCustomer: true,
	}
	leastProduct = ghl.ProductInput{Name: "n", Type: "DIGITAL"}
	fullProduct  = ghl.ProductInput{
		Name: "n", Type: "PHYSICAL/DIGITAL", Description: "<p>d</p>", Image: "https://example.com/i.png", StatementDescriptor: "s",
		AvailableInStore: true, Variants: []ghl.Variant{{ID: "a", Name: "Size", Options: []ghl.VariantOption{{ID: "b", Name: "XL"}}}},
		CollectionIDs: []string{id}, TaxesEnabled: true, TaxIDs: []string{id}, TaxCategoryID: id, TaxInclusive: true, Slug: "n",
	}
	leastPrice = ghl.PriceInput{Name: "n", Type: "one_time", Amount: money}
	fullPrice  = ghl.PriceInput{
		Name: "n", Type: "recurring", Amount: money, SetupFee: &money, CompareAt: &money, Recurring: ghl.Recurring{Interval: "month", Count: 2},
		Description: "d", TrialDays: 7, TotalCycles: 12, VariantOptionIDs: []string{"b"},
		MembershipOffers: []ghl.MembershipOffer{{ID: id, Label: "l", Value: "v"}}, SKU: "sku", TrackInventory: true, Available: &pieces,
		AllowOutOfStock: true,
	}
	fullStockChange = ghl.StockChange{PriceID: id, Available: &pieces, AllowOutOfStock: &yes}
	fullContact     = ghl.ContactInput{
		Email: "a@example.com", Phone: "+1 888", FirstName: "A", LastName: "B", CompanyName: "C", Address: "D", City: "E", State: "F",
		Country: "US", PostalCode: "1", Website: "https://example.com", Source: "s", Fields: []ghl.CustomField{{ID: "f", Value: "v"}},
	}
	fullNote    = ghl.Note{Title: "t", Body: "b", Pinned: true}
	lineContact = ghl.InvoiceContact{ID: "c", Name: "A", Phone: "+1", Email: "a@example.com"}

	leastInvoice = ghl.InvoiceInput{
		Name: "n", Contact: lineContact, Items: []ghl.InvoiceLine{{Name: "i", Amount: money, Quantity: 1}}, IssuedOn: day,
	}
	fullInvoice = ghl.InvoiceInput{
		Name: "n", Number: "1", Title: "INVOICE", Terms: "<p>t</p>", Contact: lineContact,
		Business: ghl.InvoiceBusiness{Name: "b", Phone: "+1", Website: "https://example.com"},
		Items:    []ghl.InvoiceLine{{Name: "i", Description: "d", ProductID: id, PriceID: id, Amount: money, Quantity: 2}},
		Discount: &money, IssuedOn: day, DueOn: day, SendTo: []string{"b@example.com"}, Test: true,
	}
	fullInvoicePayment = ghl.InvoicePayment{
		Mode: "card", Card: &ghl.Card{Brand: "visa", Last4: "1234"}, ChequeNumber: "1", Notes: "n", Amount: &money, PaidAt: day,
		Meta: map[string]string{"k": "v"},
	}
	fullProvider = ghl.ProviderInput{UniqueName: "easy-direct", Title: "t", Kind: "nmi", Description: "d", ImageURL: "https://example.com/i.png"}
)
