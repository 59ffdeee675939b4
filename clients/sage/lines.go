package sage

import (
	"context"

	"github.com/tallystick/tallystick/domain"
)

// Line is one line of a sales order. It has no external id and takes no extra fields: it is known by its order and its
// position in it, so whoever writes lines must own the numbering.
type Line struct {
	Audit
	// OrderID is read as salesorderId and written as salesOrderId; encoding/json reads either.
	OrderID   Ref `json:"salesorderId"`
	ProductID Ref `json:"productId"`
	// Position is the place of the line in its order.
	Position domain.Number `json:"order"`
	// Description holds up to 2,000 characters (schema in the endpoint pages).
	Description string `json:"description"`
	// Quantity is a whole number: the vendor's connector gives it 32 bits and no fraction (A57).
	Quantity domain.Number `json:"quantity"`
	Price    domain.Number `json:"price"`
	// Total is a plain field, not computed from the others (see Order.Total).
	Total domain.Number `json:"total"`
	// Discount1 to Discount4 are percentages.
	Discount1 domain.Number `json:"discount1"`
	Discount2 domain.Number `json:"discount2"`
	Discount3 domain.Number `json:"discount3"`
	Discount4 domain.Number `json:"discount4"`
}

// LineFields are what is to be written of a line; nil fields are not sent. A create needs OrderID, ProductID, Quantity
// and Price.
type LineFields struct {
	OrderID     *int64         `json:"salesOrderId,omitempty"`
	ProductID   *int64         `json:"productId,omitempty"`
	Position    *int64         `json:"order,omitempty"`
	Description *string        `json:"description,omitempty"`
	Quantity    *int64         `json:"quantity,omitempty"`
	Price       *domain.Number `json:"price,omitempty"`
	Total       *domain.Number `json:"total,omitempty"`
	Discount1   *domain.Number `json:"discount1,omitempty"`
}

// Lines are the lines of all sales orders. The path has been seen in two spellings; routing seems not to care.
type Lines struct {
	*Resource[Line, LineFields]
}

// OfOrder reads the lines of an order, deleted ones included, by ascending id.
func (l *Lines) OfOrder(ctx context.Context, orderID int64) ([]Line, error) {
	if orderID <= 0 {
		return nil, wrongCall(l.operation(actionFind), "it needs the id of an order")
	}
	rows, err := l.Find(ctx, Eq("salesorderId.id", orderID))
	if err != nil {
		return nil, err
	}
	ours := rows[:0]
	for _, row := range rows {
		if row.OrderID.ID == orderID { // a filter that Sage did not understand must not hand us another order's lines
			ours = append(ours, row)
		}
	}
	return ours, nil
}

var lineFields = filterFields(
	[]string{"order", "description", "quantity", "price", "total"},
	[]string{"salesorderId", "productId"},
)
