"""The hand-off over the real `AttachmentStage`, from the sockets on."""

import pytest
from llm_stage import image, pdf

from staging import AttachmentStage, StageClosedError, llm
from staging.testing import FakeCDN, Reply, assert_empty


async def test_from_the_network_to_the_blocks(tmp_path):
    async with FakeCDN() as cdn:
        urls = [
            cdn.script("/script.py", Reply(b"print('hi')\n")),
            cdn.script("/photo.png", Reply(image())),
            cdn.script("/report.pdf", Reply(pdf("page"))),
            cdn.script("/gone.png", Reply(b"", status=404)),
        ]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            await stage.download(urls)
            prompt = await llm.prompt(stage)
            assert prompt.startswith(stage.context() + "\n\n[Contents of attachment 1, 'script.py':]\n```python\nprint")
            assert "[Contents of attachment 2, 'photo.png', not shown: image/png is not text]" in prompt
            assert "[page 1]\npage" in prompt
            found = await llm.openai_blocks(stage)
            assert [block["type"] for block in found] == ["input_image", "input_file", "input_text", "input_text"]
            assert "\n4. 'gone.png': not downloaded (" in found[2]["text"]
            stage.files[0].path.unlink()
            assert "it was deleted after it was staged" in await llm.prompt(stage)
    with pytest.raises(StageClosedError):
        await llm.prompt(stage)
    assert_empty(tmp_path)
