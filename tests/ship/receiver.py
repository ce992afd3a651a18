"""A receiver of OTLP over HTTP that is not ours: the protocol's published messages, in Python.

receiver.py CODE FILE: prints its port, answers with the HTTP status CODE, and adds a line of JSON to FILE
for each request that it takes.
"""

import http.server
import json
import sys

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

CODE = int(sys.argv[1])


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = service.ExportTraceServiceRequest.FromString(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with open(sys.argv[2], "a", encoding="utf-8") as file:
            print(json.dumps([self.path, headers, MessageToDict(request)]), file=file)
        answer = service.ExportTraceServiceResponse().SerializeToString() if CODE == 200 else b"no room"
        self.send_response(CODE)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
