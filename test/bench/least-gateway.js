// The least that can answer a hello on this runtime: an HTTP server, a WebSocket server, one message. The physical limit of a start and of a round trip.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket) => {
  socket.on('message', (data) => socket.send(data.toString()));
});
server.listen(Number(process.argv[2]), '127.0.0.1');
