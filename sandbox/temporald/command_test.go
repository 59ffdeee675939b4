package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func validOptions() options {
	return options{ip: "localhost", port: 7233, retention: 24 * time.Hour, logLevel: "warn"}
}

func TestOptionsAreCompleted(t *testing.T) {
	o := validOptions()
	o.namespaces = []string{"shop"}
	require.NoError(t, o.complete([]string{
		"a.b=300", "c=true", `d="text"`, "e=0.5", `f={"x":1}`, "matching.enableFairness=false",
	}, []string{"Tenant=keyword"}))
	require.Equal(t, "127.0.0.1", o.ip)
	require.Equal(t, "127.0.0.1", o.uiIP)
	require.Equal(t, 8233, o.uiPort)
	require.Equal(t, []string{"default", "shop"}, o.namespaces)
	require.Equal(t, 300, o.dynamicConfig["a.b"], "the server takes an int and nothing else for a count")
	require.Equal(t, true, o.dynamicConfig["c"])
	require.Equal(t, "text", o.dynamicConfig["d"])
	require.InDelta(t, 0.5, o.dynamicConfig["e"], 0)

	client := o.dynamicConfigClient()
	for key, value := range defaultDynamicConfig {
		if key.String() == "matching.enablefairness" {
			value = false // given on the command line
		}
		require.Equal(t, value, client[key], key.String())
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change           func(*options)
		dynamic, attribs []string
		want             string
	}{
		"all interfaces":        {change: func(o *options) { o.ip = "0.0.0.0" }, want: "not a loopback address"},
		"UI on all interfaces":  {change: func(o *options) { o.uiIP = "::" }, want: "not a loopback address"},
		"host name":             {change: func(o *options) { o.ip = "example.com" }, want: "not a loopback address"},
		"port":                  {change: func(o *options) { o.port = 70000 }, want: "--port"},
		"retention":             {change: func(o *options) { o.retention = time.Minute }, want: "--retention"},
		"log level":             {change: func(o *options) { o.logLevel = "loud" }, want: "--log-level"},
		"no value":              {dynamic: []string{"a.b"}, want: "not KEY=JSON"},
		"no JSON":               {dynamic: []string{"a.b=text"}, want: "not JSON"},
		"two values":            {dynamic: []string{"a.b=1 2"}, want: "more than one"},
		"attribute, no type":    {attribs: []string{"Tenant"}, want: "not NAME=TYPE"},
		"attribute, wrong type": {attribs: []string{"Tenant=String"}, want: `unknown type "String"`},
		"attribute, empty type": {attribs: []string{"Tenant=Unspecified"}, want: "unknown type"},
	} {
		t.Run(name, func(t *testing.T) {
			o := validOptions()
			if test.change != nil {
				test.change(&o)
			}
			require.ErrorContains(t, o.complete(test.dynamic, test.attribs), test.want)
		})
	}
}
