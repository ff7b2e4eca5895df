package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/spillway/spillway/app"
)

// manifest is what is read of an object of Kubernetes.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		PodSelector podSelector `yaml:"podSelector"`
		Ingress     []struct{ From []networkPeer }
		Egress      []struct{ To []networkPeer }
		Ports       []struct{ Port int }
		Template    struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Containers []struct {
					Name, Image string
					Args        []string
					Env         []struct{ Name, Value string }
					EnvFrom     []struct {
						ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
					} `yaml:"envFrom"`
				}
				Volumes []struct {
					Name   string
					Secret struct {
						SecretName string `yaml:"secretName"`
						Items      []struct{ Key, Path string }
					}
				}
				Grace int `yaml:"terminationGracePeriodSeconds"`
			}
		}
	}
}

// podSelector is what is read of a selector of pods by a NetworkPolicy.
type podSelector struct {
	MatchExpressions []struct{ Values []string } `yaml:"matchExpressions"`
}

// values are those of the first expression, sorted.
func (s podSelector) values() []string {
	if len(s.MatchExpressions) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(s.MatchExpressions[0].Values))
}

type networkPeer struct {
	PodSelector podSelector `yaml:"podSelector"`
}

// manifests builds an overlay, with components that an operator has added to it.
func manifests(t *testing.T, overlay string, components ...string) []manifest {
	t.Helper()
	deploy := "../../deploy"
	if len(components) > 0 {
		deploy = t.TempDir()
		if err := os.CopyFS(deploy, os.DirFS("../../deploy")); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(deploy, "kubernetes", "overlays", overlay)
	for _, c := range components {
		toolIn(t, dir, "kustomize", "edit", "add", "component", "../../components/"+c)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(tool(t, "kustomize", "build", dir))))
	var all []manifest
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// secretsOfProd are what docs/deploy.md lets an operator put into the Secret.
var secretsOfProd = map[string]string{
	"auth-key": strings.Repeat(
		"k",
		minKeyBytes,
	), "service-token": "token", "mysql": "shop:secret@tcp(mysql.example:3306)/spillway?tls=true", "redis": "rediss://shop:secret@redis.example:6379", "smtp-password": "secret",
}

// processesOf returns all containers of the shop. Those of prod have the secrets that an operator makes.
func processesOf(t *testing.T, overlay string, all []manifest) (processes []process) {
	t.Helper()
	data := map[string]map[string]string{}
	if overlay == "prod" {
		data["Secret/spillway"] = secretsOfProd
	}
	for _, m := range all {
		if m.Kind == "ConfigMap" || m.Kind == "Secret" {
			data[m.Kind+"/"+m.Metadata.Name] = decoded(t, m)
		}
	}
	for _, m := range all {
		processes = append(processes, m.processes(data)...)
	}
	return processes
}

// TestKubernetes_CommandLinesAreAccepted: spillway accepts the arguments of each container with the ConfigMap's environment.
func TestKubernetes_CommandLinesAreAccepted(t *testing.T) {
	for _, overlay := range []string{"dev", "prod"} {
		t.Run(overlay, func(t *testing.T) { checkProcesses(t, processesOf(t, overlay, manifests(t, overlay)), 5) })
		t.Run(overlay+" with services", func(t *testing.T) {
			checkProcesses(t, processesOf(t, overlay, manifests(t, overlay, "services")), 12)
		})
		t.Run(overlay+" with services and TLS", func(t *testing.T) {
			checkProcesses(t, processesOf(t, overlay, manifests(t, overlay, "services", "services-tls")), 12)
		})
	}
}

// TestKubernetes_PodsOfTheProgramAreLabelled: network policies and the PodMonitor select them by this label, and no other pods.
func TestKubernetes_PodsOfTheProgramAreLabelled(t *testing.T) {
	for _, m := range manifests(t, "dev", "services") {
		labelled := m.Spec.Template.Metadata.Labels["app.kubernetes.io/name"] == "spillway"
		if program := len(m.processes(nil)) > 0; program != labelled {
			t.Errorf("%s %s: runs the program: %t, has its label: %t", m.Kind, m.Metadata.Name, program, labelled)
		}
	}
}

// processes returns the containers of the shop, with what their environment refers to.
func (m manifest) processes(data map[string]map[string]string) []process {
	var found []process
	for _, c := range m.Spec.Template.Spec.Containers {
		if !strings.Contains(c.Image, "/spillway:") {
			continue
		}
		p := process{name: fmt.Sprintf("%s/%s", m.Kind, m.Metadata.Name), args: c.Args, env: map[string]string{}}
		for _, from := range c.EnvFrom {
			maps.Copy(p.env, data["ConfigMap/"+from.ConfigMapRef.Name])
		}
		for _, e := range c.Env {
			p.env[e.Name] = e.Value
		}
		for _, v := range m.Spec.Template.Spec.Volumes {
			if v.Name == "secrets" {
				p.secrets = map[string]string{}
				for _, item := range v.Secret.Items {
					if text, ok := data["Secret/"+v.Secret.SecretName][item.Key]; ok {
						p.secrets[item.Path] = text
					}
				}
			}
		}
		found = append(found, p)
	}
	return found
}

func decoded(t *testing.T, m manifest) map[string]string {
	t.Helper()
	if m.Kind != "Secret" {
		return m.Data
	}
	out := map[string]string{}
	for name, value := range m.Data {
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

// TestKubernetes_EveryWorkerRuns: each worker is in one group.
func TestKubernetes_EveryWorkerRuns(t *testing.T) {
	var running []string
	for _, m := range manifests(t, "prod") {
		for _, p := range m.processes(nil) {
			if i := slices.Index(p.args, "--workers"); i >= 0 {
				running = append(running, strings.Split(p.args[i+1], ",")...)
			}
		}
	}
	want := slices.Sorted(slices.Values(app.WorkerNames()))
	if got := slices.Sorted(slices.Values(running)); !slices.Equal(got, want) {
		t.Errorf("the groups run %v, want %v", got, want)
	}
}

// TestKubernetes_GraceIsLongerThanTheDrain: a process that drains is not killed.
func TestKubernetes_GraceIsLongerThanTheDrain(t *testing.T) {
	const beside = 10 // seconds before and after the drain
	drain := int(app.DefaultConfig(app.RoleServe).HTTP.DrainTimeout.Seconds())
	for _, m := range manifests(t, "prod", "services") {
		if m.Kind == "Deployment" && m.Spec.Template.Spec.Grace < drain+beside {
			t.Errorf("%s has %d s, and its drain takes up to %d s", m.Metadata.Name, m.Spec.Template.Spec.Grace, drain)
		}
	}
}
