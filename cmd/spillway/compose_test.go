package main

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"
)

// composeService is what is read of a service of compose.yaml.
type composeService struct {
	Image     string            `json:"image"`
	Command   []string          `json:"command"`
	Env       map[string]string `json:"environment"`
	Profiles  []string          `json:"profiles"`
	DependsOn map[string]any    `json:"depends_on"`
	MemLimit  string            `json:"mem_limit"`
	Ports     []struct {
		HostIP string `json:"host_ip"`
	} `json:"ports"`
}

// composeServices are those of all profiles, with the file's own defaults in place of the environment.
func composeServices(t *testing.T) map[string]composeService {
	t.Helper()
	var project struct {
		Services map[string]composeService `json:"services"`
	}
	if err := json.Unmarshal(tool(t, "compose-check", "-format", "json", "../../compose.yaml"), &project); err != nil {
		t.Fatal(err)
	}
	return project.Services
}

// ownImage begins the name of the shop's image in compose.yaml.
const ownImage = "localhost/spillway:"

// composeProcesses are the containers of the shop.
func composeProcesses(t *testing.T) (processes []process) {
	t.Helper()
	for name, s := range composeServices(t) {
		if !strings.HasPrefix(s.Image, ownImage) {
			continue
		}
		if key, ok := s.Env["SPILLWAY_AUTH_KEY"]; ok && key == "" {
			s.Env["SPILLWAY_AUTH_KEY"] = strings.Repeat("k", minKeyBytes) // The file has none: the user sets it.
		}
		processes = append(processes, process{name: name, args: s.Command, env: s.Env})
	}
	return processes
}

// TestCompose_CommandLinesAreAccepted: spillway accepts what compose.yaml starts it with.
func TestCompose_CommandLinesAreAccepted(t *testing.T) {
	emptyEnvironment(t)
	checkProcesses(t, composeProcesses(t), 4)
}

// TestCompose_ServicesAreBounded: each has a limit of memory and one profile, listens on 127.0.0.1 only, and depends on none of the other profile.
func TestCompose_ServicesAreBounded(t *testing.T) {
	emptyEnvironment(t)
	services := composeServices(t)
	for name, s := range services {
		if s.MemLimit == "" || len(s.Profiles) != 1 {
			t.Errorf("%s: memory limit %q, profiles %v", name, s.MemLimit, s.Profiles)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: listens on %q", name, p.HostIP)
			}
		}
		for other := range s.DependsOn {
			if !slices.Equal(services[other].Profiles, s.Profiles) {
				t.Errorf("%s depends on %s, which its profile does not start", name, other)
			}
		}
		if _, tag, _ := strings.Cut(path.Base(s.Image), ":"); !strings.HasPrefix(s.Image, ownImage) && strings.Count(tag, ".") != 2 {
			t.Errorf("%s: the image %q has no exact version", name, s.Image)
		}
	}
}
