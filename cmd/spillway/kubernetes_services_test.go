package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/auth"
)

// internalPort is where a service of its own serves the shop's other processes.
const internalPort = 9001

// TestKubernetesServices_EachIsServedOnce: no service is missing, and none is in two Deployments.
func TestKubernetesServices_EachIsServedOnce(t *testing.T) {
	var served []string
	for _, p := range processesOf(t, "prod", manifests(t, "prod", "services")) {
		if i := slices.Index(p.args, "--services"); i >= 0 {
			served = append(served, strings.Split(p.args[i+1], ",")...)
		}
	}
	slices.Sort(served)
	if want := slices.Sorted(slices.Values(app.ServiceNames())); !slices.Equal(served, want) {
		t.Errorf("the Deployments serve %v, want %v", served, want)
	}
}

// TestKubernetesServices_EachCallArrives: what a process calls is a Service of the name in its URL, in front of a process that serves it on that port, and
// the network policies allow these calls and no others.
func TestKubernetesServices_EachCallArrives(t *testing.T) {
	t.Run("http", func(t *testing.T) { checkCalls(t, "http", manifests(t, "prod", "services")) })
	t.Run("https", func(t *testing.T) { checkCalls(t, "https", manifests(t, "prod", "services", "services-tls")) })
}

func checkCalls(t *testing.T, scheme string, all []manifest) {
	t.Helper()
	callers, called := map[string]bool{}, map[string]bool{}
	listening := map[string]bool{}
	for _, p := range processesOf(t, "prod", all) {
		t.Run(p.name, func(t *testing.T) {
			cfg := p.accept(t)
			if cfg.Internal.Listen != "" {
				listening[strings.Join(cfg.Services, ",")] = strings.HasSuffix(cfg.Internal.Listen, ":9001") && (cfg.Internal.CertFile != "") == (scheme == "https")
			}
			for _, name := range cfg.Calls() {
				_, component, _ := strings.Cut(p.name, "/")
				callers[component], called[name] = true, true
				if got, want := p.env["SPILLWAY_"+strings.ToUpper(name)+"_URL"], scheme+"://"+name+":9001"; got != want {
					t.Errorf("calls %s at %q, want %q", name, got, want)
				}
			}
		})
	}
	for name := range called {
		if !listening[name] || !hasPort(all, name, internalPort) {
			t.Errorf("nothing serves %s on port %d by its scheme, or its Service does not have the port", name, internalPort)
		}
	}
	checkPolicies(t, all, slices.Sorted(maps.Keys(callers)), slices.Sorted(maps.Keys(called)))
}

// checkPolicies checks who may call what.
func checkPolicies(t *testing.T, all []manifest, callers, called []string) {
	t.Helper()
	to, from := policy(t, all, "services"), policy(t, all, "service-callers")
	for what, lists := range map[string][2][]string{
		"services selects":        {to.Spec.PodSelector.values(), called},
		"services allows":         {to.Spec.Ingress[0].From[0].PodSelector.values(), callers},
		"service-callers selects": {from.Spec.PodSelector.values(), callers},
		"service-callers allows":  {from.Spec.Egress[0].To[0].PodSelector.values(), called},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s %v, want %v", what, lists[0], lists[1])
		}
	}
}

func policy(t *testing.T, all []manifest, name string) manifest {
	t.Helper()
	for _, m := range all {
		if m.Kind == "NetworkPolicy" && m.Metadata.Name == name {
			return m
		}
	}
	t.Fatalf("there is no NetworkPolicy %s", name)
	return manifest{}
}

// hasPort reports whether there is a Service with the port.
func hasPort(all []manifest, name string, port int) bool {
	return slices.ContainsFunc(all, func(m manifest) bool {
		return m.Kind == "Service" && m.Metadata.Name == name && slices.ContainsFunc(m.Spec.Ports, func(p struct{ Port int }) bool { return p.Port == port })
	})
}

// TestKubernetesServices_DevTokenIsAccepted: the workers' token in overlay dev is one of its key, with the role service.
func TestKubernetesServices_DevTokenIsAccepted(t *testing.T) {
	for _, m := range manifests(t, "dev") {
		secrets := decoded(t, m)
		if m.Kind != "Secret" || secrets["service-token"] == "" {
			continue
		}
		tokens, err := auth.NewTokens([]byte(secrets["auth-key"]))
		if err != nil {
			t.Fatal(err)
		}
		caller, err := tokens.Verify(secrets["service-token"])
		if err != nil || !slices.Equal(caller.Roles, []auth.Role{auth.Service}) {
			t.Errorf("it has the roles %v (%v), want service", caller.Roles, err)
		}
		return
	}
	t.Error("overlay dev has no service-token")
}
