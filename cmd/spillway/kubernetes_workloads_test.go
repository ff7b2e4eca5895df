package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workload is what is read of a Deployment, and of what protects and scales it.
type workload struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Scales      struct{ Name string } `yaml:"scaleTargetRef"`
		Metrics     []autoscalerMetric
		Pods        map[string]any `yaml:"podSelector"`
		PolicyTypes []string       `yaml:"policyTypes"`
		Ingress     []any
		Egress      []any
		Template    struct {
			Spec struct {
				TokenMounted *bool `yaml:"automountServiceAccountToken"`
				Spread       []any `yaml:"topologySpreadConstraints"`
				Containers   []container
			}
		}
	}
}

type autoscalerMetric struct {
	Resource       struct{ Name string }
	Pods, External struct{ Metric struct{ Name string } }
}

type container struct {
	Image     string
	Startup   map[string]any `yaml:"startupProbe"`
	Liveness  map[string]any `yaml:"livenessProbe"`
	Readiness map[string]any `yaml:"readinessProbe"`
	Resources struct{ Requests, Limits map[string]string }
}

// workloads are the objects of an overlay.
func workloads(t *testing.T, overlay string) (all []workload) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(tool(t, "kustomize", "build", "../../deploy/kubernetes/overlays/"+overlay)))
	for {
		var w workload
		err := decoder.Decode(&w)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
}

// TestKubernetes_WorkloadsAreGuarded: each Deployment of the shop in production has its probes, bounds and a disruption budget, is spread, and has no token of
// the cluster. The schemas require none of them, and kube-score not all.
func TestKubernetes_WorkloadsAreGuarded(t *testing.T) {
	all := workloads(t, "prod")
	deployments := 0
	for _, d := range all {
		if d.Kind != "Deployment" {
			continue
		}
		deployments++
		pod := d.Spec.Template.Spec
		if pod.TokenMounted == nil || *pod.TokenMounted || len(pod.Spread) == 0 {
			t.Errorf("%s: a token is mounted, or its pods are not spread", d.Metadata.Name)
		}
		for _, c := range pod.Containers {
			if c.Startup == nil || c.Liveness == nil || c.Readiness == nil {
				t.Errorf("%s: a probe is missing", d.Metadata.Name)
			}
			if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
				t.Errorf("%s: resources %+v", d.Metadata.Name, c.Resources)
			}
		}
		if !slices.ContainsFunc(all, func(w workload) bool {
			return w.Kind == "PodDisruptionBudget" && w.Spec.Selector.MatchLabels["app.kubernetes.io/component"] == d.Metadata.Name
		}) {
			t.Errorf("%s has no disruption budget", d.Metadata.Name)
		}
	}
	if deployments < 4 {
		t.Errorf("%d Deployments", deployments)
	}
}

// TestKubernetes_Autoscalers: the API follows the processor and the calls in progress, the drain the journal, by metrics that the program has.
func TestKubernetes_Autoscalers(t *testing.T) {
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, w := range workloads(t, "prod") {
		if w.Kind != "HorizontalPodAutoscaler" {
			continue
		}
		for _, m := range w.Spec.Metrics {
			name := m.Resource.Name + m.Pods.Metric.Name + m.External.Metric.Name // One of them.
			if name != "cpu" && !strings.Contains(string(documented), "`"+name+"`") {
				t.Errorf("%s follows %s, which is no metric", w.Spec.Scales.Name, name)
			}
			got[w.Spec.Scales.Name] = append(got[w.Spec.Scales.Name], name)
		}
	}
	if !slices.Equal(got["serve"], []string{"cpu", "spillway_admission_in_flight"}) || !slices.Equal(got["work-drain"], []string{"spillway_journal_entries"}) {
		t.Errorf("the autoscalers follow %v", got)
	}
}

// TestKubernetes_NamespaceIsClosed: its pods meet the restricted standard, and have no connection that a policy does not allow.
func TestKubernetes_NamespaceIsClosed(t *testing.T) {
	for _, overlay := range []string{"dev", "prod"} {
		restricted, denied := false, false
		for _, w := range workloads(t, overlay) {
			restricted = restricted || w.Kind == "Namespace" && w.Metadata.Labels["pod-security.kubernetes.io/enforce"] == "restricted"
			denied = denied || w.Kind == "NetworkPolicy" && w.Spec.Pods != nil && len(w.Spec.Pods) == 0 && len(w.Spec.PolicyTypes) == 2 &&
				len(w.Spec.Ingress) == 0 && len(w.Spec.Egress) == 0
		}
		if !restricted || !denied {
			t.Errorf("%s: restricted %t, closed %t", overlay, restricted, denied)
		}
	}
}
