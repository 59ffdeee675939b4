package faults

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// maxRequestBody bounds what a late commit keeps of a request whose connection is gone.
const maxRequestBody = 4 << 20

// Serve lets next answer the call, or does what the plan has in store for this call of the operation.
func (p *Plan) Serve(op string, w http.ResponseWriter, r *http.Request, next http.Handler, refuse Refuse) {
	if p == nil {
		next.ServeHTTP(w, r)
		return
	}
	f, hit := p.decide(op)
	if !hit {
		next.ServeHTTP(w, r)
		return
	}
	switch f.Kind {
	case Latency:
		if pause(r.Context(), f.Delay) {
			next.ServeHTTP(w, r)
		}
	case Status, Throttle, StaleToken:
		answerRefusal(w, r, f, refuse)
	case HTMLPage:
		answerPage(w, f)
	case CutBefore:
		cut(w)
	case CutAfter:
		next.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		cut(w)
	case LateCommit:
		p.commitLate(w, r, f, next)
	case AnswerLate, TruncatedJSON:
		record := httptest.NewRecorder()
		next.ServeHTTP(record, r.WithContext(context.WithoutCancel(r.Context())))
		answerBadly(w, r, f, record)
	default:
		panic("faults: unknown kind " + string(f.Kind))
	}
}

func answerRefusal(w http.ResponseWriter, r *http.Request, f Fault, refuse Refuse) {
	switch {
	case f.Kind == Throttle && f.RetryAfter == RetryAfterSeconds:
		w.Header().Set("Retry-After", strconv.Itoa(wholeSeconds(f.Delay)))
	case f.Kind == Throttle && f.RetryAfter == RetryAfterDate:
		// An HTTP date has whole seconds: round up, or the wait could already be over.
		at := time.Now().Add(f.Delay + time.Second - 1).UTC()
		w.Header().Set("Retry-After", at.Format(http.TimeFormat))
	}
	if f.Kind == Status && f.Status == 0 {
		f.Status = http.StatusServiceUnavailable
	}
	if f.Kind == Status && f.Body != "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return
	}
	refuse(w, r, f)
}

func wholeSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

func answerPage(w http.ResponseWriter, f Fault) {
	if f.Status == 0 {
		f.Status = http.StatusBadGateway
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, "<html><head><title>"+http.StatusText(f.Status)+
		"</title></head><body><center><h1>"+http.StatusText(f.Status)+"</h1></center></body></html>\n")
}

func answerBadly(w http.ResponseWriter, r *http.Request, f Fault, record *httptest.ResponseRecorder) {
	body := record.Body.Bytes()
	if f.Kind == AnswerLate && !pause(r.Context(), f.Delay) {
		return
	}
	if f.Kind == TruncatedJSON {
		body = body[:len(body)/2]
	}
	for k, v := range record.Header() {
		w.Header()[k] = v
	}
	// Without the right length the client could tell a truncated document from the transport alone.
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(record.Code)
	_, _ = w.Write(body)
}

// commitLate keeps the request, cuts the line and does the work afterwards.
func (p *Plan) commitLate(w http.ResponseWriter, r *http.Request, f Fault, next http.Handler) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody))
	if err != nil {
		cut(w)
		return
	}
	later := r.Clone(context.WithoutCancel(r.Context()))
	later.Body = io.NopCloser(bytes.NewReader(body))
	p.beginLate()
	go func() {
		defer p.endLate()
		pause(later.Context(), f.Delay)
		next.ServeHTTP(httptest.NewRecorder(), later)
	}()
	cut(w)
}

// cut resets the connection. Where the line can't be taken over, net/http is told to close it instead.
func cut(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // reset rather than a polite end
	}
	_ = conn.Close()
}

// pause waits, and tells whether the caller is still there.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
