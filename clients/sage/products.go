package sage

import "github.com/tallystick/tallystick/domain"

// Product is what an order line sells. It has no article number, no currency and no notion of recurring: what another
// system calls its price is one product here, told apart by ExtID.
type Product struct {
	Audit
	ExtID string `json:"extId"`
	// Model is the product's name.
	Model       string        `json:"model"`
	Description string        `json:"description"`
	Price       domain.Number `json:"price"`
	Cost        domain.Number `json:"cost"`
	CategoryID  Ref           `json:"categoryId"`
	FamilyID    Ref           `json:"familyId"`
	// MaxDiscount is a percentage.
	MaxDiscount domain.Number `json:"maxDiscount"`
	// NotAvailable takes the product out of sale.
	NotAvailable Bool `json:"notAvailable"`
	// ReadOnly products can't be changed.
	ReadOnly Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (p Product) externalID() string { return p.ExtID }

// Locked names what forbids writing to the product: "deleted", "readOnly", or "" for nothing.
func (p Product) Locked() string { return locked(p.Deleted, p.ReadOnly, false) }

// UnmarshalJSON reads a product with its extra fields.
func (p *Product) UnmarshalJSON(data []byte) (err error) {
	type plain Product
	*p = Product{}
	p.Extra, err = unflatten(data, (*plain)(p))
	return err
}

// ProductFields are what is to be written of a product; nil fields are not sent. A create needs Model.
type ProductFields struct {
	ExtID        *string        `json:"extId,omitempty"`
	Model        *string        `json:"model,omitempty"`
	Description  *string        `json:"description,omitempty"`
	Price        *domain.Number `json:"price,omitempty"`
	Cost         *domain.Number `json:"cost,omitempty"`
	CategoryID   *int64         `json:"categoryId,omitempty"`
	FamilyID     *int64         `json:"familyId,omitempty"`
	NotAvailable *bool          `json:"notAvailable,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f ProductFields) MarshalJSON() ([]byte, error) {
	type plain ProductFields
	return flatten(plain(f), f.Extra)
}

var productFields = filterFields(
	[]string{"extId", "model", "description", "price", "cost", "maxDiscount", "stock", "notAvailable", "readOnly"},
	[]string{"categoryId", "familyId"},
)
