package activities

import (
	"context"
	"errors"
)

var errNotWritten = errors.New("not written yet")

func (g *GHL) readTransactions(context.Context, ReadBooksInput) (BooksPage, error) {
	return BooksPage{}, errNotWritten
}
func (g *GHL) readOrderEntries(context.Context, ReadBooksInput) (BooksPage, error) {
	return BooksPage{}, errNotWritten
}
func (g *GHL) readSubscriptions(context.Context, ReadBooksInput) (BooksPage, error) {
	return BooksPage{}, errNotWritten
}
func (g *GHL) readCustomer(context.Context, ReadCustomerInput) (BringCustomerInput, error) {
	return BringCustomerInput{}, errNotWritten
}
func (l *Ledger) openBooksWindow(context.Context, OpenBooksWindowInput) (BooksWindow, error) {
	return BooksWindow{}, errNotWritten
}
func (l *Ledger) closeBooksWindow(context.Context, CloseBooksWindowInput) error { return errNotWritten }
func (l *Ledger) toBring(context.Context, ToBringInput) (ToBringPage, error) {
	return ToBringPage{}, errNotWritten
}
func (l *Ledger) compareBooks(context.Context, CompareBooksInput) (BooksComparison, error) {
	return BooksComparison{}, errNotWritten
}

type sageReading struct {
	sage *Sage
	in   ReadSageBooksInput
	conn *connection
	page SageBooksPage
}

func (r *sageReading) run(context.Context) error { return errNotWritten }

type booksRun struct {
	sage   *Sage
	in     BringBooksInput
	conn   *connection
	result BringBooksResult
}
type paymentsRun struct{ booksRun }

func (p *paymentsRun) run(context.Context) error { return errNotWritten }

type subscriptionsRun struct{ booksRun }

func (s *subscriptionsRun) run(context.Context) error { return errNotWritten }
