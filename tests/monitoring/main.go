// Runs the queries of the dashboard and the rules of the alerts by Prometheus itself, over what the server's /metrics said.
//
//	monitoring SCRAPES DASHBOARD ALERTS
//
// SCRAPES is a folder of scrapes, INSTANCE.MILLISECONDS.txt each. Prints, as JSON, what each query of the dashboard found, and
// fails where one of them, or a rule, is not one that Prometheus runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// What Grafana puts in place of its variables: all namespaces, and a window of several scrapes.
var variables = strings.NewReplacer("$namespace", ".+", "$__rate_interval", "10s")

// Points of one series.
const steps = 120

type dashboard struct {
	Panels []struct {
		Title   string
		Type    string
		Targets []struct {
			Expr         string
			LegendFormat string
		}
	}
}

// One series of a query's answer.
type series struct {
	Labels map[string]string `json:"labels"`
	// Seconds since the first scrape, and the value.
	Points [][2]float64 `json:"points"`
}

// What one query found.
type answer struct {
	Panel  string   `json:"panel"`
	Legend string   `json:"legend"`
	Series []series `json:"series"`
}

// The times of the first and the last scrape.
type span struct{ first, last time.Time }

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("usage: monitoring SCRAPES DASHBOARD ALERTS"))
	}
	folder, err := os.MkdirTemp("", "monitoring")
	fail(err)
	defer os.RemoveAll(folder)
	db, err := tsdb.Open(folder, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	fail(err)
	defer db.Close()
	scraped, err := store(db, os.Args[1])
	fail(err)
	answers, err := ask(db, scraped, os.Args[2])
	fail(err)
	fail(rules(db, scraped, os.Args[3]))
	fail(json.NewEncoder(os.Stdout).Encode(answers))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// Stores all scrapes in the order of their times.
func store(db *tsdb.DB, folder string) (span, error) {
	type scrape struct {
		path, instance string
		at             int64
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return span{}, err
	}
	var scrapes []scrape
	for _, path := range paths {
		instance, at, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt"), ".")
		millis, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return span{}, fmt.Errorf("%s: %w", path, err)
		}
		scrapes = append(scrapes, scrape{path, instance, millis})
	}
	if len(scrapes) < 2 {
		return span{}, fmt.Errorf("%s: %d scrapes, no rates", folder, len(scrapes))
	}
	sort.Slice(scrapes, func(a, b int) bool { return scrapes[a].at < scrapes[b].at })
	for _, scrape := range scrapes {
		if err := add(db, scrape.path, scrape.instance, scrape.at); err != nil {
			return span{}, fmt.Errorf("%s: %w", scrape.path, err)
		}
	}
	return span{time.UnixMilli(scrapes[0].at), time.UnixMilli(scrapes[len(scrapes)-1].at)}, nil
}

func add(db *tsdb.DB, path, instance string, at int64) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	appender := db.Appender(context.Background())
	metrics := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	for {
		entry, err := metrics.Next()
		if errors.Is(err, io.EOF) {
			return appender.Commit()
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var found labels.Labels
		metrics.Labels(&found)
		named := labels.NewBuilder(found).Set("job", "tidewaiter").Set("instance", instance).Labels()
		_, _, value := metrics.Series()
		if _, err := appender.Append(0, named, at, value); err != nil {
			return fmt.Errorf("%s: %w", named, err)
		}
	}
}

// Runs each query of the dashboard over the whole time.
func ask(db storage.Queryable, scraped span, path string) ([]answer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var answers []answer
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			found, err := query(db, scraped, variables.Replace(target.Expr))
			if err != nil {
				return nil, fmt.Errorf("%s: panel %q: %s: %w", path, panel.Title, target.Expr, err)
			}
			answers = append(answers, answer{panel.Title, target.LegendFormat, found})
		}
	}
	return answers, nil
}

func engine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000,
		Timeout:    time.Minute,
		// A minute less than Prometheus has: what is gone is gone from a short time, too.
		LookbackDelta: 5 * time.Second,
		Parser:        parser.NewParser(parser.Options{}),
	})
}

func query(db storage.Queryable, scraped span, expression string) ([]series, error) {
	step := max(scraped.last.Sub(scraped.first)/steps, 100*time.Millisecond)
	wanted, err := engine().NewRangeQuery(context.Background(), db, nil, expression, scraped.first, scraped.last, step)
	if err != nil {
		return nil, err
	}
	defer wanted.Close()
	matrix, err := wanted.Exec(context.Background()).Matrix()
	if err != nil {
		return nil, err
	}
	all := []series{}
	for _, found := range matrix {
		one := series{Labels: found.Metric.Map()}
		for _, point := range found.Floats {
			// A quantile of nothing: Grafana leaves a gap.
			if math.IsNaN(point.F) {
				continue
			}
			one.Points = append(one.Points, [2]float64{float64(point.T-scraped.first.UnixMilli()) / 1000, point.F})
		}
		if len(one.Points) > 0 {
			all = append(all, one)
		}
	}
	return all, nil
}

// Checks the rules as promtool does, and runs each expression.
func rules(db storage.Queryable, scraped span, path string) error {
	groups, problems := rulefmt.ParseFile(path, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return fmt.Errorf("%s: %w", path, errors.Join(problems...))
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if _, err := query(db, scraped, rule.Expr); err != nil {
				return fmt.Errorf("%s: %s: %w", path, rule.Alert, err)
			}
		}
	}
	return nil
}
