// What the API server of Kubeflow Pipelines makes of a package: its own parser and argocompiler, without a server.
//
//	kfp-backend PACKAGE RUNTIME_CONFIG_JSON
//
// prints the Argo workflow as JSON; exit code 1 and the server's own words where it refuses.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/kubeflow/pipelines/backend/src/apiserver/config/proxy"
	"github.com/kubeflow/pipelines/backend/src/apiserver/model"
	"github.com/kubeflow/pipelines/backend/src/apiserver/template"
)

func run(file, parameters, root string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	parsed, err := template.New(text, template.TemplateOptions{})
	if err != nil {
		return "", err
	}
	workflow, err := parsed.RunWorkflow(&model.Run{
		DisplayName: "test",
		Namespace:   "kubeflow",
		PipelineSpec: model.PipelineSpec{
			RuntimeConfig: model.RuntimeConfig{Parameters: model.LargeText(parameters), PipelineRoot: model.LargeText(root)},
		},
	}, template.RunWorkflowOptions{RunID: "00000000-0000-4000-8000-000000000000", RunAt: time.Now().Unix()})
	if err != nil {
		return "", err
	}
	return workflow.ToStringForStore(), nil
}

func main() {
	proxy.InitializeConfigWithEmptyForTests()
	text, err := run(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(text)
}
