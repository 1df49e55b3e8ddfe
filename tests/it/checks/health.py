"""gRPC's own health service, from the project's own package: `health.py [CERTIFICATE KEY]`.

It prints its port, then sets the health of a service for each line `SERVICE STATUS` of its input and prints that line again.
"""

import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
if len(sys.argv) > 1:
    certificate, key = (open(path, "rb").read() for path in sys.argv[1:3])
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
for line in sys.stdin:
    service, status = line.split()
    service = "" if service == "*" else service
    servicer.set(service, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    print(line, end="", flush=True)
server.stop(None)
