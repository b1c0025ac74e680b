package monitor

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// envChromium names a directory with Debian's chromium-headless-shell unpacked in it, and
// envPictures one for the pictures. "make page" sets both.
const (
	envChromium = "CHROMIUM"
	envPictures = "PICTURES"
)

// inspect checks the layout in the browser and returns the faults found.
const inspect = `(() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push("the page is " + wide + " wide");
  const rgb = c => c.match(/[\d.]+/g).map(Number);
  const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  for (const e of document.body.querySelectorAll("*")) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.width > 1 && box.right > innerWidth + .5) faults.push(e.tagName + " ends at " + box.right + ": " + e.textContent.slice(0, 40));
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [lum(rgb(style.color)), lum(ground(e))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faults.push(e.tagName + " has a contrast of " + ratio.toFixed(2) + ": " + e.textContent.slice(0, 40));
    if (parseFloat(style.fontSize) < 14) faults.push(e.tagName + " is " + style.fontSize + ": " + e.textContent.slice(0, 40));
  }
  for (const r of document.querySelectorAll(".bar rect")) if (getComputedStyle(r).fill === "rgb(0, 0, 0)") faults.push("a part of the bar has no colour");
  if (document.scripts.length || document.images.length || document.title.includes("pwned")) faults.push("something hostile is in the page");
  return faults.join("\n");
})()`

// Every scene in a real browser, on a telephone and on a desk, light and dark: nothing is cut
// off, all text can be read, the style is accepted, and nothing is loaded. The pictures are
// for people to look at.
func TestPageInBrowser(t *testing.T) {
	root := os.Getenv(envChromium)
	if root == "" {
		t.Skip("left out, the status page in a real browser: make page")
	}
	c := startChromium(t, root)
	for name, s := range scenes() {
		server := httptest.NewServer(Handler(prometheus.NewRegistry(), nil, nil, s.page()))
		defer server.Close()
		for _, width := range []int{360, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				name := fmt.Sprintf("%s-%d-%s", name, width, scheme)
				t.Run(name, func(t *testing.T) { c.visit(t, server.URL+"/", name, width, scheme) })
			}
		}
	}
}

func (c *chromium) visit(t *testing.T, url, name string, width int, scheme string) {
	c.call(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	c.call(t, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	c.events = nil
	c.call(t, "Page.navigate", map[string]any{"url": url}, nil)
	c.await(t, "Page.loadEventFired")
	var found struct{ Result struct{ Value string } }
	c.call(t, "Runtime.evaluate", map[string]any{"expression": inspect}, &found)
	for fault := range strings.Lines(found.Result.Value) {
		t.Error(strings.TrimSpace(fault))
	}
	// The tree that a screen reader gets: the table stays one on a telephone too.
	var tree struct {
		Nodes []struct{ Role struct{ Value string } }
	}
	c.call(t, "Accessibility.getFullAXTree", nil, &tree)
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		roles[n.Role.Value]++
	}
	tables := strings.Count(name, "usual") * 4
	if roles["heading"] != 6 || roles["table"] < tables || tables > 0 && (roles["columnheader"] == 0 || roles["rowheader"] == 0 || roles["cell"] == 0) {
		t.Errorf("roles for a screen reader: %v", roles)
	}
	// Tab goes through the links.
	for _, want := range []string{"/metrics", "/readyz", "/healthz"} {
		for _, kind := range []string{"rawKeyDown", "keyUp"} {
			c.call(t, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
		c.call(t, "Runtime.evaluate", map[string]any{"expression": `document.activeElement.getAttribute("href") + " " + getComputedStyle(document.activeElement).outlineStyle`}, &found)
		if found.Result.Value != want+" solid" {
			t.Errorf("Tab goes to %s, want %s with an outline", found.Result.Value, want)
		}
	}
	for _, e := range c.events {
		text := string(e.Params)
		if e.Method == "Log.entryAdded" || e.Method == "Runtime.exceptionThrown" || e.Method == "Network.requestWillBeSent" && !strings.Contains(text, `"type":"Document"`) {
			t.Errorf("%s: %s", e.Method, text)
		}
	}
	if dir := os.Getenv(envPictures); dir != "" {
		var picture struct{ Data string }
		c.call(t, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
		var size struct {
			CSSContentSize struct{ Height float64 } `json:"cssContentSize"`
		}
		c.call(t, "Page.getLayoutMetrics", nil, &size)
		c.call(t, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true,
			"clip": map[string]any{"x": 0, "y": 0, "width": width, "height": min(size.CSSContentSize.Height, 4000), "scale": 1}}, &picture)
		png, err := base64.StdEncoding.DecodeString(picture.Data)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// chromium is a browser with one tab, driven by the DevTools protocol over pipes.
type chromium struct {
	in      io.Writer
	out     *bufio.Reader
	session string
	calls   int
	events  []message
}

// message is a call, a reply or an event of the protocol. A NUL ends it.
type message struct {
	ID        int             `json:"id,omitempty"`
	Session   string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Exception any             `json:"error,omitempty"`
}

// startChromium starts the browser of an unpacked Debian, in namespaces that end with the
// test.
func startChromium(t *testing.T, root string) *chromium {
	t.Helper()
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc="+filepath.Join(root, "proc"),
		"chroot", root, "/usr/lib/chromium/chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir=/tmp/profile", "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		in.Close()
		out.Close()
	})
	c := &chromium{in: in, out: bufio.NewReader(out)}
	var tab struct{ TargetID string }
	c.call(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &tab)
	var attached struct{ SessionID string }
	c.call(t, "Target.attachToTarget", map[string]any{"targetId": tab.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Log", "Runtime", "Accessibility"} {
		c.call(t, domain+".enable", nil, nil)
	}
	return c
}

// call calls a method and keeps the events that come before its reply.
func (c *chromium) call(t *testing.T, method string, params, result any) {
	t.Helper()
	c.calls++
	m := message{ID: c.calls, Session: c.session, Method: method}
	if params != nil {
		m.Params, _ = json.Marshal(params)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.Write(append(text, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		got := c.read(t)
		if got.ID != m.ID {
			c.events = append(c.events, got)
			continue
		}
		if got.Exception != nil {
			t.Fatalf("%s: %v", method, got.Exception)
		}
		if result != nil {
			if err := json.Unmarshal(got.Result, result); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
}

// await waits for an event, unless it has come already.
func (c *chromium) await(t *testing.T, method string) {
	t.Helper()
	for seen := 0; ; seen++ {
		if seen == len(c.events) {
			c.events = append(c.events, c.read(t))
		}
		if c.events[seen].Method == method {
			return
		}
	}
}

func (c *chromium) read(t *testing.T) (m message) {
	t.Helper()
	text, err := c.out.ReadBytes(0)
	if err != nil {
		t.Fatalf("the browser has ended: %v", err)
	}
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		t.Fatal(err)
	}
	return m
}
