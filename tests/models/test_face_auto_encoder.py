"""The autoencoder of SNA: what it draws, what it keeps, and its weights' way to the classifier."""

import pytest
import torch
from torch.testing import assert_close

from mmfer.models.autoencoders import FaceAutoEncoder, Neighbourhood, load_autoencoder
from mmfer.structures import FaceBatch


def autoencoder(size=16, seed=0, **options):
    torch.manual_seed(seed)
    return FaceAutoEncoder(size=size, latent_dim=8, channels=4, depth=1, **options)


def batch(rows):
    return FaceBatch(label=torch.zeros(rows).long(), sample_idx=torch.arange(rows))


@pytest.mark.parametrize('size', [8, 24, 32, 48, 56, 64, 88, 112, 128])
def test_any_size_divisible_by_eight_goes_through(size):
    model = autoencoder(size).eval()
    faces = torch.randn(2, 3, size, size)
    z = model.encode(faces)
    assert z.shape == (2, 8)
    assert model.decode(z, 0.3).shape == faces.shape
    assert model(faces).shape == faces.shape


@pytest.mark.parametrize('size', [0, 4, 12, 100])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f'size must be divisible by 8, got {size}'):
        autoencoder(size)


def test_the_usual_size_has_a_map_of_seven_cells_and_more_encoder_than_decoder():
    model = FaceAutoEncoder()
    assert model.decoder[1].unflattened_size == (256, 7, 7)
    weights = [sum(p.numel() for p in part.parameters()) for part in (model.encoder, model.decoder)]
    assert weights[0] > 1.5 * weights[1]


def test_faces_of_other_sizes_are_fitted():
    model = autoencoder().eval()
    large = torch.randn(2, 3, 40, 24)
    fitted = torch.nn.functional.interpolate(large, (16, 16), mode='bilinear', antialias=True)
    assert_close(model.encode(large), model.encode(fitted))
    assert model(large).shape == (2, 3, 16, 16)


def test_the_decoder_is_told_the_noise_of_each_face():
    model = autoencoder().eval()
    z = torch.randn(3, 8)
    drawn = model.decode(z, torch.tensor([0.0, 0.2, 0.5]))
    for row, noise in enumerate((0.0, 0.2, 0.5)):
        assert_close(drawn[row], model.decode(z, noise)[row])
    assert (model.decode(z, 0.5) - model.decode(z, 0.0)).abs().max() > 1e-3


def test_the_loss_without_noise_is_the_plain_reconstruction_error():
    model = autoencoder(max_noise=0.0, latent_penalty=0.5)
    faces = torch.rand(4, 3, 16, 16) * 2 - 1
    losses = model(faces, mode='loss')
    with torch.no_grad():
        z = model.encoder(faces)
        error = (model.decode(z, 0.0) - faces).abs().sum() / faces.numel()
    assert_close(losses['reconstruction_loss'].detach(), error)
    assert_close(losses['grey_levels'], 255 / 2 * error)
    assert_close(losses['latent_loss'].detach(), 0.5 * (z**2).sum() / 4)
    assert set(losses) == {'reconstruction_loss', 'latent_loss', 'grey_levels'}


def test_the_noise_disturbs_each_latent_by_its_own_spread(monkeypatch):
    model = autoencoder(max_noise=0.4)
    faces, seen = torch.rand(5, 3, 16, 16) * 2 - 1, {}
    decode = model.decode

    def spy(z, noise):
        seen.update(z=z.detach(), noise=noise)
        return decode(z, noise)

    monkeypatch.setattr(model, 'decode', spy)
    torch.manual_seed(3)
    model.loss(faces)
    torch.manual_seed(3)
    noise = torch.rand(5) * 0.4
    normal = torch.randn(5, 8)
    assert_close(seen['noise'], noise)
    assert_close(seen['z'] - model.encoder(faces).detach(), noise[:, None] * model.latent_std * normal)
    assert ((noise >= 0) & (noise <= 0.4)).all()
    assert model.latent_std.std() > 0


def test_the_spread_starts_at_the_first_batch_and_then_runs():
    model = autoencoder(momentum=0.25)
    batches = [torch.randn(6, 3, 16, 16) * scale for scale in (1.0, 2.0, 0.5, 1.5, 3.0, 1.0)]
    variance, face = None, []
    for step, faces in enumerate(batches):
        with torch.no_grad():
            latents = model.encoder(faces)
        share = max(1 / (step + 1), 0.25)
        now = latents.var(0)
        variance = now if variance is None else (1 - share) * variance + share * now
        face.append(faces.mean(0))
        model.loss(faces)
        assert_close(model.latent_std, variance.sqrt(), rtol=1e-4, atol=1e-6)
        assert_close(model.mean_face, torch.stack(face).mean(0), rtol=1e-4, atol=1e-6)
    assert model.steps == len(batches)


def test_a_batch_of_one_leaves_numbers():
    model = autoencoder().eval()
    losses = model.loss(torch.randn(1, 3, 16, 16))
    assert all(value.isfinite() for value in losses.values())
    assert model.latent_std.isfinite().all()


def test_it_learns():
    model = autoencoder(max_noise=0.1)
    faces = torch.rand(1, 3, 4, 4).expand(8, 3, 4, 4) + 0.5 * torch.randn(8, 3, 1, 1)
    faces = torch.nn.functional.interpolate(faces, (16, 16), mode='bilinear')
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.5, 0.999))
    first = None
    for _ in range(100):
        losses = model.loss(faces)
        first = first or losses['grey_levels'].item()
        optimizer.zero_grad()
        (losses['reconstruction_loss'] + losses['latent_loss']).backward()
        optimizer.step()
    assert losses['grey_levels'].item() < first / 2.5


def test_predictions_are_judged_in_grey_levels_beside_the_mean_face():
    model = autoencoder().eval()
    model.mean_face.fill_(0.5)
    faces = torch.rand(3, 3, 16, 16) * 2 - 1
    samples = model(faces, batch(3), mode='predict')
    levels = (faces + 1) / 2 * 255
    drawn = (model(faces).detach() + 1) / 2 * 255
    for row, sample in enumerate(samples):
        assert_close(sample.reconstruction_error, (drawn[row] - levels[row]).abs().mean(), rtol=1e-4, atol=1e-3)
        assert_close(sample.mean_face_error, (255 * 0.75 - levels[row]).abs().mean(), rtol=1e-4, atol=1e-3)


def test_it_insists_on_pixels_from_minus_one_to_one():
    half = dict(type='mmfer.FaceDataPreprocessor', size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert autoencoder(data_preprocessor=half).data_preprocessor.size == (16, 16)
    with pytest.raises(
        ValueError,
        match=r'pixels in \[-1, 1\], but data_preprocessor.std is \[0.25, 0.25, 0.25\]: set '
        r'data_preprocessor.std=\(.5, .5, .5\)',
    ):
        autoencoder(data_preprocessor=dict(half, std=(0.25, 0.25, 0.25)))


# --- residual decoding ---


def test_no_change_gives_the_face_to_the_bit():
    model = autoencoder().eval()
    for faces in (torch.randn(3, 3, 16, 16), torch.randn(3, 3, 40, 24)):
        around = Neighbourhood(model, faces, torch.full((3, 1, 1), 0.4), torch.full((3, 1, 1), 0.2))
        assert torch.equal(around.changed(torch.zeros(3, 8), 0.3), faces)


def test_a_change_adds_the_difference_of_two_drawings_whatever_the_normalisation():
    model = autoencoder().eval()
    pixels, change = torch.rand(3, 3, 16, 16), 0.3 * torch.randn(3, 8)
    z = model.encode(2 * pixels - 1)
    added = (model.decode(z + change, 0.3) - model.decode(z, 0.3)) / 2  # in pixels of [0, 1]
    for mean, std in ((torch.tensor([0.54, 0.43, 0.38]), torch.tensor([0.25, 0.22, 0.2])), (0.0, 1.0), (0.5, 0.5)):
        mean, std = (torch.as_tensor(value).view(-1, 1, 1) for value in (mean, std))
        around = Neighbourhood(model, (pixels - mean) / std, mean, std)
        changed = around.changed(change, 0.3) * std + mean
        assert_close(changed, (pixels + added).detach(), rtol=1e-5, atol=1e-5)
    assert added.abs().max() > 0.01


def test_changes_are_drawn_small_and_added_large():
    model = autoencoder().eval()
    faces = torch.randn(2, 3, 40, 24)
    around = Neighbourhood(model, faces)
    change = torch.randn(2, 8)
    small = model.decode(around.latents + change, 0.1) - model.decode(around.latents, 0.1)
    large = torch.nn.functional.interpolate(small, (40, 24), mode='bilinear')
    assert_close(around.changed(change, 0.1), (faces + large).detach(), rtol=1e-5, atol=1e-5)
    assert_close(around.changed(change, 0.1, around.drawn(0.1)), around.changed(change, 0.1))


def test_mixed_precision_does_not_touch_the_drawings():
    model = autoencoder().eval()
    faces, change = torch.randn(2, 3, 16, 16), 1e-3 * torch.randn(2, 8)
    plain = Neighbourhood(model, faces).changed(change, 0.1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(Neighbourhood(model, faces).changed(change, 0.1), plain)


# --- weights ---


def write(path, model):
    path.parent.mkdir(exist_ok=True, parents=True)
    epoch = int(path.stem.partition('_')[2] or 3)
    content = dict(state_dict=model.state_dict(), meta=dict(epoch=epoch, iter=10 * epoch), message_hub={})
    torch.save(content, path)
    return path


def test_weights_come_from_a_file_or_from_the_newest_of_a_folder(tmp_path):
    trained = autoencoder(seed=1)
    trained.loss(torch.randn(4, 3, 16, 16))
    path = write(tmp_path / 'autoencoder_toy' / 'epoch_3.pth', trained)
    write(path.with_name('epoch_2.pth'), autoencoder(seed=2))
    (path.parent / 'last_checkpoint').write_text('/somewhere/else/epoch_2.pth')  # the folder was copied
    for source in (path, str(path), path.parent, str(path.parent)):
        model = autoencoder(seed=3)
        assert load_autoencoder(model, source) == path
        assert all(
            torch.equal(a, b) for a, b in zip(model.state_dict().values(), trained.state_dict().values(), strict=True)
        )


@pytest.mark.parametrize('source', ['work_dirs/autoencoder_synthfaces', 'autoencoder_synthfaces/epoch_9.pth'])
def test_a_missing_file_is_met_with_the_command_that_makes_it(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'work_dirs' / 'autoencoder_synthfaces').mkdir(parents=True)  # begun, but without a checkpoint yet
    with pytest.raises(
        FileNotFoundError,
        match=f'^{source} is missing: .*python tools/train.py configs/sna/autoencoder_synthfaces.py.*checkpoint=FILE$',
    ):
        load_autoencoder(autoencoder(), source)


def test_a_file_of_something_else_is_refused_in_a_sentence(tmp_path):
    noise = tmp_path / 'noise.pth'
    noise.write_bytes(b'no zip file at all')
    with pytest.raises(ValueError, match='noise.pth cannot be read as a checkpoint of an autoencoder'):
        load_autoencoder(autoencoder(), noise)
    other = write(tmp_path / 'classifier.pth', torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match='classifier.pth holds no autoencoder: name what configs/sna/autoencoder_'):
        load_autoencoder(autoencoder(), other)
    torch.save([1, 2], other)
    with pytest.raises(ValueError, match='cannot be read'):
        load_autoencoder(autoencoder(), other)


def test_another_autoencoders_weights_are_refused(tmp_path):
    path = write(tmp_path / 'wide.pth', FaceAutoEncoder(size=16, latent_dim=8, channels=6, depth=1))
    with pytest.raises(
        ValueError,
        match=r'wide.pth holds another autoencoder .*is \(6, 3, 3, 3\) there and '
        r'\(4, 3, 3, 3\) here.*size, channels and depth',
    ):
        load_autoencoder(autoencoder(), path)
    path = write(tmp_path / 'deep.pth', FaceAutoEncoder(size=16, latent_dim=8, channels=4, depth=2))
    with pytest.raises(ValueError, match='is left over'):
        load_autoencoder(autoencoder(), path)
