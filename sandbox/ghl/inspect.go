package ghl

import "slices"

// Orders gives all orders of all locations, oldest first.
func (s *Server) Orders() []Order {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Order, len(s.orders.sorted))
	for i, e := range s.orders.sorted {
		out[i] = *e.value
	}
	return out
}

// Order gives an order, and false if there is none.
func (s *Server) Order(id string) (Order, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o := s.orders.byID[id]; o != nil {
		return *o, true
	}
	return Order{}, false
}

// Payments gives the transactions of an order, oldest first, wherever they are booked.
func (s *Server) Payments(orderID string) []Transaction {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Transaction
	for _, e := range s.payments.index["paid:"+orderID] {
		out = append(out, *e.value)
	}
	return out
}

// Transactions gives all transactions of all locations, oldest first.
func (s *Server) Transactions() []Transaction {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Transaction, len(s.payments.sorted))
	for i, e := range s.payments.sorted {
		out[i] = *e.value
	}
	return out
}

// Transaction gives a transaction, and false if there is none.
func (s *Server) Transaction(id string) (Transaction, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.payments.byID[id]; t != nil {
		return *t, true
	}
	return Transaction{}, false
}

// Invoice gives an invoice, and false if there is none.
func (s *Server) Invoice(id string) (Invoice, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.invoices.byID[id]; i != nil {
		return *i, true
	}
	return Invoice{}, false
}

// Deliveries gives every attempt to deliver a webhook so far, in the order in which they ended.
func (s *Server) Deliveries() []Delivery {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return slices.Clone(s.hooks.log)
}
