package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What an *Error can wrap besides a cause of the standard library (context.Canceled, context.DeadlineExceeded,
// net.Error and so on, all found by errors.Is and errors.As).
var (
	// ErrReadOnly: the client was told not to write, and the call is a write. Nothing was sent.
	ErrReadOnly = errors.New("writing is switched off")
	// ErrInvalidCall: the call itself is wrong, such as an empty id. Nothing was sent; repeating cannot help.
	ErrInvalidCall = errors.New("the call is wrong")
	// ErrAddress: the vendor's host has an address at which no vendor can be, such as that of a cloud's metadata service.
	// Nothing was sent. It is an ErrInvalidCall.
	ErrAddress = fmt.Errorf("%w: the host's address is not allowed", ErrInvalidCall)
	// ErrCredentials: credentials could not be had, so nothing was sent.
	ErrCredentials = errors.New("no credentials could be had")
	// ErrLimited: the call was held back, by the limiter for longer than it may wait, because too many calls are under
	// way, or because the vendor is not answering. Nothing was sent; RetryAfter says when to come back.
	ErrLimited = errors.New("held back")
	// ErrNoAnswer: the vendor could not be reached, or the line broke before its answer was complete.
	ErrNoAnswer = errors.New("no answer")
	// ErrUnreadable: the vendor answered with success, but with something that is not the JSON expected.
	ErrUnreadable = errors.New("unreadable answer")
	// ErrTooLarge: the answer is larger than the client reads.
	ErrTooLarge = errors.New("the answer is too large")
)

// Error is every fault of a call. Its text holds no address, query, header or body, only the operation, the status and
// the vendor's words without what looks personal or secret.
type Error struct {
	// Vendor and Operation name the call.
	Vendor, Operation string
	// Status is the HTTP status, or 0 if none came. A 2xx beside an Err means that the answer could not be read.
	Status int
	// Code, Message and TraceID are the vendor's words, cut and cleaned.
	Code, Message, TraceID string
	// RetryAfter is how long the vendor, or our own limiter, asks to wait; 0 if nobody said.
	RetryAfter time.Duration
	// MayHaveLanded says that a write may have been carried out although it failed here: look before writing again.
	MayHaveLanded bool
	// Err is the cause; nil if a status other than success is all there is.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	if e.Status != 0 {
		b.WriteString(": " + strconv.Itoa(e.Status))
		if text := http.StatusText(e.Status); text != "" {
			b.WriteString(" " + text)
		}
	}
	if e.Code != "" {
		b.WriteString(": code " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.TraceID != "" {
		b.WriteString(" (trace " + e.TraceID + ")")
	}
	if e.MayHaveLanded {
		b.WriteString("; the write may have been carried out")
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the *Error in an error, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// IsStatus tells whether the vendor answered with one of the statuses.
func IsStatus(err error, statuses ...int) bool {
	e := AsError(err)
	if e == nil {
		return false
	}
	for _, s := range statuses {
		if e.Status == s {
			return true
		}
	}
	return false
}

// MayHaveLanded tells whether err leaves open that a write was carried out.
func MayHaveLanded(err error) bool {
	e := AsError(err)
	return e != nil && e.MayHaveLanded
}

// RetryAfter is the wait that err carries, or 0.
func RetryAfter(err error) time.Duration {
	if e := AsError(err); e != nil {
		return e.RetryAfter
	}
	return 0
}

// NoCredentials is the error of a call that could not be sent because its credentials could not be had. If getting them
// was a call that failed itself, its words are the news. That the caller's time was over says nothing of credentials.
func NoCredentials(vendor, operation string, cause error) *Error {
	e := &Error{Vendor: vendor, Operation: operation, Err: fault{ErrCredentials, cause}}
	if login := AsError(cause); login != nil {
		*e = *login
		e.MayHaveLanded, e.Err = false, fault{ErrCredentials, cause}
	} else if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		e.Err = fault{ErrNoAnswer, cause}
	}
	return e
}

// fault is a cause whose text is cleaned. It can be matched by errors.Is and errors.As but not unwrapped, because
// whoever prints or stores a chain of errors link by link would otherwise get the text that was cleaned away.
type fault struct {
	kind  error
	cause error
}

func (f fault) Error() string { return f.kind.Error() + ": " + Scrub(plainCause(f.cause).Error()) }

func (f fault) Is(target error) bool { return errors.Is(f.kind, target) || errors.Is(f.cause, target) }

func (f fault) As(target any) bool { return errors.As(f.cause, target) }

// plainCause takes off the *url.Error, whose text is the whole address with its query.
func plainCause(err error) error {
	var withAddress *url.Error
	if errors.As(err, &withAddress) && withAddress.Err != nil {
		return withAddress.Err
	}
	return err
}
