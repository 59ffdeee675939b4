package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
)

func TestPaidOrderIsBookedToTheCent(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	require.Equal(t, activities.NotDue, w.mustPass(order.ID).Outcome)
	require.Empty(t, w.sage.Orders())

	w.pay(order.ID, domain.Money{})
	result := w.mustPass(order.ID)
	require.Equal(t, activities.Created, result.Outcome)

	booked := w.sage.OrdersByExtID(domain.OrderExtID(order.ID))
	require.Len(t, booked, 1)
	require.Equal(t, "49.49", string(booked[0].Number("total")))
	sum := domain.NewMoney(0, "EUR")
	for _, line := range booked[0].Lines {
		total, err := domain.ParseMoney(line.Number("total"), "EUR")
		require.NoError(t, err)
		sum, err = sum.Add(total)
		require.NoError(t, err)
	}
	require.Equal(t, domain.NewMoney(4949, "EUR"), sum)
	require.Equal(t, "paid", booked[0].Text("Z_PaymentStatus"))

	before := len(w.sage.Writes())
	w.sage.ResetCalls()
	w.ghl.ResetCalls()
	require.Equal(t, activities.Unchanged, w.mustPass(order.ID).Outcome)
	require.Len(t, w.sage.Writes(), before)
	require.Equal(t, map[string]int{"sage.salesorders.list": 1}, w.sage.Calls())
	t.Log(w.ghl.Calls())
}
