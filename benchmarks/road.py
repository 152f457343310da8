"""The whole road of the points but the connection: source, producer, encoder, stream, writers, a sink that counts."""

from __future__ import annotations

import anyio

from qwf_async.client.retry import Retry
from qwf_async.ingesting.delivery import Delivery
from qwf_async.ingesting.gate import Gate
from qwf_async.ingesting.producer import Encoder, Producer
from qwf_async.ingesting.stream import BatchStream
from qwf_async.ingesting.transfer import write_all
from qwf_async.layout import Form
from qwf_async.settings import Settings
from qwf_async.source import Source
from qwf_async.wire.batch import Batch


class CountingSink:
    """Takes every batch and counts its points."""

    points = 0

    async def write(self, batch: Batch) -> None:
        self.points += batch.points


def travelled(source: Source, layout: str, producers: int) -> int:
    """Send the whole source down the road, in codec c16, by RESTORE if the layout can; the points that arrived."""
    return anyio.run(_travel, source, layout, producers, backend_options={"use_uvloop": True})


async def _travel(source: Source, layout: str, producers: int) -> int:
    settings = Settings()
    form = Form.of(layout=layout, codec="c16", shape=source.grid.shape, order=source.order)
    sink = CountingSink()
    opened = form.open(b"qwf:psi:{0123456789abcdef.", by_restore=True)
    delivery = Delivery(sink=sink, gate=Gate(), retry=Retry(deadline=1.0), hook=lambda event: None)
    encoder = Encoder(source=source, plan=form.plan, layout=opened, codec="c16", allow_nonfinite=False)
    stream = BatchStream(settings.stream_bytes)
    async with anyio.create_task_group() as tasks:
        for _ in range(settings.writers):
            tasks.start_soon(write_all, stream, delivery.write, lambda batch: None)
        await Producer(encoder=encoder, count=producers).run(range(len(form.plan)), stream)
        stream.end()
    return sink.points
