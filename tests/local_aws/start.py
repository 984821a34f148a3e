"""The local AWS, with what template.yaml uses and ministack's CloudFormation does not know.

Takes ministack's own settings: BIND_HOST, GATEWAY_PORT, IOT_MTLS_ENABLED, SFTP_ENABLED ...
With ENDS_WITH_STDIN=1 it ends when standard input does, together with the functions that it runs: whoever
started it holds the other end, and may die of anything. It must lead a process group of its own then.

What is added stands in for AWS on the local side; the template is never changed to fit:

- AWS::Events::Archive becomes an archive through ministack's own CreateArchive.
- AWS::CloudWatch::Alarm with metric math becomes an alarm on its first metric, with its actions switched off:
  it can be listed, and never rings.
- x-amazon-apigateway-gateway-responses of an API's definition becomes gateway responses of the API.
- An answer that a function streams is handed on whole when it has ended: its head and its bytes. (That it comes
  piece by piece is tested at the function itself.)
- The gateway's addresses that functions are told of (https://{api}.execute-api.…) become the local gateway's.
- A MaximumConcurrency that comes from a parameter arrives as text, and becomes the number that ministack compares.
"""

import base64
import json
import os
import re
import signal
import sys
import threading

from ministack.core import lambda_runtime
from ministack.services import apigateway_v1, eventbridge
from ministack.services.cloudformation import provisioners


def answer(response):
    """What a service of ministack answered, or its error as CloudFormation reports it."""
    status, _headers, body = response
    said = json.loads(body or b"{}")
    if status >= 300:
        raise ValueError(said.get("message") or said.get("Message") or str(said))
    return said


def archive_request(name, properties):
    """A request of EventBridge's API from a template's properties."""
    request = {
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "Description": properties.get("Description", ""),
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }
    if "EventPattern" in properties:
        request["EventPattern"] = json.dumps(properties["EventPattern"])
    return request


def create_archive(logical_id, properties, stack_name):
    name = properties.get("ArchiveName") or f"{stack_name}-{logical_id}"
    created = answer(eventbridge._create_archive(archive_request(name, properties)))
    return name, {"Arn": created["ArchiveArn"], "ArchiveName": name}


def update_archive(name, _old, properties, _stack_name):
    updated = answer(eventbridge._update_archive(archive_request(name, properties)))
    return name, {"Arn": updated["ArchiveArn"], "ArchiveName": name}


def delete_archive(name, _properties):
    answer(eventbridge._delete_archive({"ArchiveName": name}))


def with_one_metric(record):
    """The alarm's record for a template's properties, for metric math too."""

    def of(name, properties):
        metrics = properties.get("Metrics")
        if not metrics:
            return record(name, properties)
        first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
        alone = {key: value for key, value in properties.items() if key != "Metrics"}
        return record(name, {
            **alone,
            "Namespace": first["Metric"]["Namespace"],
            "MetricName": first["Metric"]["MetricName"],
            "Dimensions": first["Metric"].get("Dimensions", []),
            "Statistic": first["Stat"],
            "Period": first["Period"],
            "ActionsEnabled": False,
        })

    return of


def with_number(handler, *path):
    """The handler, given a number where the template's properties have its text."""

    def mended(*arguments):
        for argument in arguments:
            *outer, last = path
            for key in outer:
                argument = argument.get(key) if isinstance(argument, dict) else None
            if isinstance(argument, dict) and isinstance(argument.get(last), str):
                argument[last] = int(argument[last])
        return handler(*arguments)

    return mended


GATEWAY = re.compile(r"https://([a-z0-9]+)\.execute-api\.[^/]+/")


def with_local_gateway(handler):
    """A function is told of the gateway that is there."""
    here = f"{os.environ.get('AWS_ENDPOINT_URL', '')}/_aws/execute-api/"

    def mended(*arguments):
        for argument in arguments:
            environment = argument.get("Environment") if isinstance(argument, dict) else None
            variables = (environment or {}).get("Variables") or {}
            for name, value in variables.items():
                variables[name] = GATEWAY.sub(lambda found: f"{here}{found[1]}/", value)
        return handler(*arguments)

    return mended


def with_gateway_responses(import_schemes):
    """An API's definition is imported with what the gateway answers by itself."""

    def mended(api_id, definition):
        responses = definition.get("x-amazon-apigateway-gateway-responses") or {}
        for kind, response in responses.items():
            answer(apigateway_v1._put_gateway_response(api_id, kind, response))
        return import_schemes(api_id, definition)

    return mended


# Between the head of a streamed answer and its bytes (API Gateway Developer Guide, "Lambda proxy integration format
# for response streaming").
END_OF_HEAD = b"\0" * 8


def with_streamed_answers(build_handler):
    """The Runtime API of a function, for one that streams its answers: they become answers in one piece."""

    def mended(self, *arguments):
        class Handler(build_handler(self, *arguments)):
            def _read_body(self):
                body = super()._read_body()
                if self.headers.get("Lambda-Runtime-Function-Response-Mode") != "streaming":
                    return body
                head, _, content = body.partition(END_OF_HEAD)
                return json.dumps({**json.loads(head), "streamed": base64.b64encode(content).decode()}).encode()

        return Handler

    return mended


def with_bytes_as_they_are(respond):
    """A streamed answer's bytes reach the caller as they are, whatever the API's binary media types."""

    def mended(result):
        response, error = respond(result)
        if isinstance(response, dict) and "streamed" in response:
            response = {**response, "body": base64.b64decode(response.pop("streamed"))}
        return response, error

    return mended


def with_streaming_addresses(function_of):
    """The function that an integration's address names, where the answer is to be streamed, too."""

    def mended(uri):
        return function_of((uri or "").replace("/response-streaming-invocations", "/invocations"))

    return mended


HANDLERS = provisioners._RESOURCE_HANDLERS
HANDLERS["AWS::Events::Archive"] = {
    "create": create_archive,
    "update": update_archive,
    "delete": delete_archive,
}
FUNCTION = HANDLERS["AWS::Lambda::Function"]
for verb in ["create", "update"]:
    FUNCTION[verb] = with_local_gateway(FUNCTION[verb])
MAPPING = HANDLERS["AWS::Lambda::EventSourceMapping"]
for verb in ["create", "update"]:
    MAPPING[verb] = with_number(MAPPING[verb], "ScalingConfig", "MaximumConcurrency")
lambda_runtime.ProvidedWorker._build_handler_class = with_streamed_answers(
    lambda_runtime.ProvidedWorker._build_handler_class)
apigateway_v1._lambda_proxy_response = with_bytes_as_they_are(apigateway_v1._lambda_proxy_response)
apigateway_v1._extract_lambda_ref_from_integration_uri = with_streaming_addresses(
    apigateway_v1._extract_lambda_ref_from_integration_uri)
apigateway_v1._import_security_schemes = with_gateway_responses(apigateway_v1._import_security_schemes)
provisioners._cw_metric_alarm_record = with_one_metric(provisioners._cw_metric_alarm_record)


def end_with_stdin():
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    if os.environ.get("ENDS_WITH_STDIN") == "1":
        threading.Thread(target=end_with_stdin, daemon=True).start()

    from ministack.app import main

    main()
